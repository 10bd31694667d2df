"""``alignments.json``: how the volumes of a study and of its prior lie to each other, kept beside the reading."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from radiolucent.errors import UnreadableFile
from radiolucent.findings.change import Alignments
from radiolucent.imaging.registration import Alignment

FILE: Final = "alignments.json"


def write_alignments(folder: Path, alignments: Sequence[Alignments]) -> None:
    """Write what was registered into a reading's folder; no file where nothing was."""
    pairs = [_pair(key, one) for of_study in alignments for key, one in of_study.items()]
    if pairs:
        (folder / FILE).write_text(json.dumps({"pairs": pairs}, indent=1) + "\n", encoding="utf-8")


def read_alignments(folder: Path) -> Alignments:
    """What `write_alignments` wrote there; empty where nothing was registered.

    Raises
    ------
    UnreadableFile
        If the file is there and isn't one of alignments.
    """
    path = folder / FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {(one["current"], one["prior"]): _alignment(one) for one in document["pairs"]}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableFile(f"it holds no alignments: {error}", path=path.name) from error


def _pair(key: tuple[str, str], one: Alignment) -> dict[str, Any]:
    return {
        "current": key[0],
        "prior": key[1],
        "to_current": [[round(float(value), 9) for value in row] for row in one.to_current],
        "correlation": round(one.correlation, 6),
        "turn_degrees": round(one.turn_degrees, 6),
        "shift_mm": round(one.shift_mm, 6),
    }


def _alignment(one: Mapping[str, Any]) -> Alignment:
    to_current = np.asarray(one["to_current"], dtype=np.float64)
    if to_current.shape != (4, 4) or not np.isfinite(to_current).all():
        raise ValueError("to_current isn't 4 x 4 numbers")
    return Alignment(
        to_current=to_current,
        correlation=float(one["correlation"]),
        turn_degrees=float(one["turn_degrees"]),
        shift_mm=float(one["shift_mm"]),
    )
