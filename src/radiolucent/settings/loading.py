"""Settings from a TOML file, over it the environment; and every setting as a row, for docs/settings.md."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import PydanticUndefined

from radiolucent.errors import SetupError
from radiolucent.settings.model import Settings

PREFIX: Final = "RADIOLUCENT_SERVE_"


def load_settings(path: Path | None = None, **given: Any) -> Settings:
    """Settings from a file, over it the environment, over that what is given here.

    Parameters
    ----------
    path : TOML; None takes the environment and the defaults alone.
    given : single top-level settings, of a command line; None counts as not given.

    Raises
    ------
    SetupError
        If the file is missing or no TOML, or a value is unknown or not allowed: names the setting.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise SetupError(f"the settings {path} can't be read: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SetupError(f"the settings {path} are no valid TOML: {error}") from error
    values = _merged(values, _from_environment(os.environ))
    values = _merged(values, {key: value for key, value in given.items() if value is not None})
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "settings"
        raise SetupError(f"{where}: {first['msg'].removeprefix('Value error, ')} (see docs/settings.md)") from error


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Every setting: (name in the file, what, default, name in the environment)."""
    yield from _rows(Settings, "")


def _rows(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    for name, field in model.model_fields.items():
        inner, many = _section(field.annotation)
        if inner is not None:
            yield from _rows(inner, f"{prefix}{name}{'[]' if many else ''}.")
            continue
        variable = "" if "[]" in prefix else PREFIX + f"{prefix}{name}".replace(".", "__").upper()
        yield f"{prefix}{name}", field.description or "", _shown(field.default), variable


def _section(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    if get_origin(annotation) is tuple:
        first = get_args(annotation)[0]
        if isinstance(first, type) and issubclass(first, BaseModel):
            return first, True
    return None, False


def _shown(default: Any) -> str:
    if default is PydanticUndefined:
        return "required"
    if isinstance(default, SecretStr):
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    return "" if default is None or default == () else str(default)


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Nested values of the variables that begin with `PREFIX`; lists are separated by commas."""
    known = {variable: name for name, _, _, variable in rows() if variable}
    values: dict[str, Any] = {}
    for variable, name in known.items():
        if variable not in environ:
            continue
        *sections, last = name.split(".")
        inner = values
        for section in sections:
            inner = inner.setdefault(section, {})
        text = environ[variable]
        inner[last] = [part.strip() for part in text.split(",") if part.strip()] if _is_list(name) else text
    return values


def _is_list(name: str) -> bool:
    *sections, last = name.split(".")
    model: type[BaseModel] = Settings
    for section in sections:
        inner, _ = _section(model.model_fields[section].annotation)
        assert inner is not None
        model = inner
    return get_origin(model.model_fields[last].annotation) is tuple


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged
