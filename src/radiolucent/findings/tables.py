"""How rule tables are read: packaged TOML or a site's own file, validated, and where their rules come from."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from radiolucent.errors import SetupError

EXPERT_DEFAULT = "expert-default"


class InvalidTable(SetupError):
    """A rule table is incomplete or contradicts itself: nothing is judged with it.

    Parameters
    ----------
    reason : what is wrong and what to do about it.
    table : name of the table or of the site's file.
    """

    def __init__(self, reason: str, *, table: str) -> None:
        self.reason, self.table = reason, table
        super().__init__(f"{table}: {reason}")


class TableModel(BaseModel):
    """Base of every table row: frozen, and a key that the table doesn't know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(TableModel):
    """Where a rule comes from."""

    citation: str
    doi: str = ""


Model = TypeVar("Model", bound=BaseModel)


def read_table(name: str, model: type[Model], *, path: Path | None = None) -> Model:
    """Read one table: the packaged ``tables/{name}.toml``, or the file at `path` in its place.

    Raises
    ------
    InvalidTable
        If the file is missing, isn't TOML, or a row is incomplete, unknown or contradicts another.
    """
    label = name if path is None else path.name
    try:
        return model.model_validate(_raw(name) if path is None else tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise InvalidTable("no such file; give the path of a TOML table", table=label) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidTable(f"no valid TOML: {error}", table=label) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "table"
        raise InvalidTable(f"{where}: {first['msg']}", table=label) from error


@cache
def sources() -> dict[str, Source]:
    """All sources by key; ``expert-default`` is the honest one for a rule that has none.

    >>> sources()["bullock-sdh-2006"].citation[:20]
    'Bullock MR et al. Su'
    """
    return {key: Source.model_validate(row) for key, row in _raw("sources").items()}


def known_source(key: str) -> str:
    """The key itself, for use in validators.

    Raises
    ------
    ValueError
        If no source has this key.
    """
    if key not in sources():
        raise ValueError(f"source {key!r} is not in sources.toml; use one that is, or {EXPERT_DEFAULT!r}")
    return key


SourceKey = Annotated[str, AfterValidator(known_source)]


def _raw(name: str) -> dict[str, Any]:
    text = resources.files("radiolucent.findings").joinpath("tables", f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
