"""What a kind of PACS takes: which objects, in which transfer syntax, over how many associations. A table, not code."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from radiolucent.errors import SetupError
from radiolucent.results.destinations.package import DicomFile, Kind, Package

EXPLICIT: Final = "1.2.840.10008.1.2.1"
IMPLICIT: Final = "1.2.840.10008.1.2"
RLE: Final = "1.2.840.10008.1.2.5"
_SYNTAXES: Final = (EXPLICIT, IMPLICIT, RLE)


class Preset(BaseModel):
    """One row of ``presets.toml``; the file says what each value means."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    objects: tuple[Kind, ...] = Field(min_length=1)
    transfer_syntaxes: tuple[str, ...] = Field(min_length=1)
    association: Literal["shared", "each"]
    references: Literal["complete", "as-made"]

    @field_validator("transfer_syntaxes")
    @classmethod
    def _can_be_written(cls, syntaxes: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(syntaxes) - set(_SYNTAXES)):
            raise ValueError(f"{unknown[0]} can't be written; use some of {', '.join(_SYNTAXES)}")
        if RLE in syntaxes and len(set(syntaxes)) == 1:
            raise ValueError("maps and reports can't be RLE: add an uncompressed transfer syntax")
        return syntaxes


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What of a package a destination is sent; `left_out`: SOP Instance UID → why not."""

    objects: tuple[DicomFile, ...]
    left_out: Mapping[str, str]


_TABLE: Final = TypeAdapter(dict[str, Preset])


@cache
def packaged_presets() -> dict[str, Preset]:
    """The packaged table."""
    text = resources.files("radiolucent.results.destinations").joinpath("presets.toml").read_text(encoding="utf-8")
    return _TABLE.validate_python(tomllib.loads(text))


def site_presets(path: Path) -> dict[str, Preset]:
    """The packaged table with a site's rows added or put in their place.

    Raises
    ------
    SetupError
        If the file is missing, isn't TOML, or a row is incomplete or can't be done.
    """
    try:
        return {**packaged_presets(), **_TABLE.validate_python(tomllib.loads(path.read_text(encoding="utf-8")))}
    except FileNotFoundError:
        raise SetupError(f"{path.name}: no such file; give the path of a TOML table") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SetupError(f"{path.name}: no valid TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise SetupError(f"{path.name}: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from error


def preset(name: str, table: Mapping[str, Preset] | None = None) -> Preset:
    """The row of that name.

    Raises
    ------
    SetupError
        If there is none.
    """
    table = table or packaged_presets()
    if name not in table:
        raise SetupError(f"no preset {name!r}; use one of {', '.join(sorted(table))}")
    return table[name]


def select(package: Package, chosen: Preset) -> Selection:
    """What of the package this kind of PACS takes; what it can't take is named, never dropped unseen.

    The worklist flag goes only where the preset asks for it; it is no result, and where nobody asks nothing is missing.
    A withdrawal is sent whatever the preset says: who shows a result must be told that it is taken back.
    """
    if package.status == "withdrawn":
        return Selection(objects=package.objects, left_out={})
    left_out = {
        item.sop_instance_uid: f"this destination's preset takes no {item.kind or 'object of this class'}"
        for item in package.objects
        if item.kind not in chosen.objects and not item.is_flag
    }
    if left_out and chosen.references == "complete":
        for item in package.objects:
            if item.kind == "key-objects" and item.sop_instance_uid not in left_out:
                left_out[item.sop_instance_uid] = "it lists objects that this destination doesn't take"
    unasked = () if "worklist-flag" in chosen.objects else tuple(item for item in package.objects if item.is_flag)
    kept = tuple(item for item in package.objects if item.sop_instance_uid not in left_out and item not in unasked)
    return Selection(objects=kept, left_out=left_out)
