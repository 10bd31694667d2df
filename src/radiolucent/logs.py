"""How log lines look: one a line, text or JSON, with UIDs and never with a patient's name."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final, Literal

_QUIET: Final = ("highdicom", "pynetdicom", "pydicom", "alembic", "sqlalchemy", "dbos", "httpx", "uvicorn.access")


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, process, logger, message, and the error where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "process": record.processName,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False)


def set_up(level: str = "INFO", form: Literal["text", "json"] = "text") -> None:
    """Send everything at `level` or above to stderr; libraries only from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    if form == "json":
        handler.setFormatter(JsonLines())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(processName)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))
