"""A clock for other processes that a test can set: loaded as ``sitecustomize``, before anything asks for the time.

The file that RADIOLUCENT_CLOCK names holds by how many seconds the wall clock is wrong. The monotonic clock is right,
as on a machine whose clock is set.
"""

import datetime as dates
import os
import time as times
from datetime import datetime as _datetime
from pathlib import Path

_FILE = os.environ.get("RADIOLUCENT_CLOCK", "")
_time = times.time


def wrong_by_s() -> float:
    """By how much; read each time, so that the clock can jump while a process runs."""
    try:
        return float(Path(_FILE).read_text(encoding="ascii") or 0)
    except OSError:
        return 0.0


class _Kind(type):
    def __instancecheck__(cls, one: object) -> bool:
        return isinstance(one, _datetime)


class ShiftedDatetime(_datetime, metaclass=_Kind):
    """Its `now` follows the file; in all else it is the usual one."""

    @classmethod
    def now(cls, tz: dates.tzinfo | None = None) -> dates.datetime:  # type: ignore[override]
        return _datetime.now(tz) + dates.timedelta(seconds=wrong_by_s())


def _shifted_time() -> float:
    return _time() + wrong_by_s()


if _FILE:
    times.time = _shifted_time
    dates.datetime = ShiftedDatetime  # type: ignore[misc]
