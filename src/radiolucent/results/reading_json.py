"""``reading.json`` and ``evidence.npz``: readings as plain values and raw maps, written and read back.

The shape of the document is ``reading.schema.json`` beside this file; ``docs/reading-json.md`` explains it.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import zipfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import cattrs
import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import UnreadableFile
from radiolucent.findings.reading import NOT_FOR_CLINICAL_USE, SCHEMA_VERSION, Reading
from radiolucent.imaging.geometry import PixelRecord
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.imaging.study import Problem

Evidence = NDArray[np.float32]
# a raw line break never stands inside a JSON string
_NUMBERS = re.compile(r"\[\n\s*((?:-?[\d.eE+-]+,?\s*)+)\]")


def _plain_float(value: float) -> float | None:
    """JSON has no NaN and no infinity: they are null."""
    return float(value) if math.isfinite(value) else None


def readings_to_json(
    readings: Sequence[Reading], *, problems: Sequence[Problem] = (), made_at: datetime, software: str
) -> tuple[dict[str, Any], dict[str, Evidence]]:
    """The document of ``reading.json``, and the maps that it points to.

    Returns
    -------
    document : plain values.
    evidence : key → float32 ``(frames, h, w)``, logit units; the document holds each map's key and SHA-256.
    """
    maps: dict[str, Evidence] = {}
    converter = cattrs.Converter()

    def heatmap_out(heatmap: Heatmap) -> dict[str, Any]:
        key = f"map{len(maps):04d}"
        maps[key] = heatmap.evidence
        return {
            "evidence": key,
            "sha256": evidence_digest(heatmap.evidence),
            "shape": list(heatmap.evidence.shape),
            "display_scale": heatmap.display_scale,
            "floor": heatmap.floor,
            "record": heatmap.record.to_json(),
        }

    converter.register_unstructure_hook(Heatmap, heatmap_out)
    converter.register_unstructure_hook(PixelRecord, lambda record: record.to_json())
    converter.register_unstructure_hook(float, _plain_float)
    studies = []
    for reading in readings:
        study = converter.unstructure(reading)
        study["state"] = reading.state
        studies.append(study)
    document = {
        "schema_version": SCHEMA_VERSION,
        "notice": NOT_FOR_CLINICAL_USE,
        "software": software,
        "made_at": made_at.isoformat(),
        "studies": studies,
        "problems": [converter.unstructure(problem) for problem in problems],
    }
    return document, maps


def readings_from_json(
    document: Mapping[str, Any], maps: Mapping[str, Evidence], *, path: str = "reading.json"
) -> list[Reading]:
    """The readings of a document that `readings_to_json` made.

    Raises
    ------
    UnreadableFile
        If the document has another schema version, a field is missing or wrong, a map is missing, or a map isn't
        the one whose digest the document holds.
    """
    if document.get("schema_version") != SCHEMA_VERSION:
        raise UnreadableFile(
            f"this is schema version {document.get('schema_version')!r}, version {SCHEMA_VERSION} is needed: "
            "read the study again",
            path=path,
        )
    converter = cattrs.Converter()

    def heatmap_in(value: Mapping[str, Any], _: type[Heatmap]) -> Heatmap:
        key = value["evidence"]
        if key not in maps:
            raise UnreadableFile(f"the map {key} is missing from evidence.npz", path=path)
        evidence = np.asarray(maps[key], dtype=np.float32)
        if evidence_digest(evidence) != value["sha256"]:
            raise UnreadableFile(f"the map {key} isn't the one that was read: its digest differs", path=path)
        record = PixelRecord.from_json(value["record"])
        return Heatmap(evidence=evidence, record=record, display_scale=value["display_scale"], floor=value["floor"])

    converter.register_structure_hook(Heatmap, heatmap_in)
    converter.register_structure_hook(float, lambda value, _: math.nan if value is None else float(value))
    converter.register_structure_hook(PixelRecord, lambda value, _: PixelRecord.from_json(value))
    try:
        return [converter.structure(study, Reading) for study in document["studies"]]
    except (cattrs.BaseValidationError, KeyError, TypeError, ValueError) as error:
        reason = "; ".join(cattrs.transform_error(error)) if isinstance(error, cattrs.BaseValidationError) else error
        raise UnreadableFile(f"no valid reading: {reason}", path=path) from error


def pack_evidence(maps: Mapping[str, Evidence]) -> bytes:
    """The bytes of ``evidence.npz``: one float32 array a key, compressed, the same bytes for the same maps."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **dict(maps))
    return buffer.getvalue()


def unpack_evidence(data: bytes, *, path: str = "evidence.npz") -> dict[str, Evidence]:
    """The maps of ``evidence.npz``. Raises `UnreadableFile` where it isn't one."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise UnreadableFile(f"no archive of maps: {error}", path=path) from error


def dump(document: Mapping[str, Any]) -> str:
    """The text of ``reading.json``: UTF-8, indented, no NaN, a list of numbers on one line."""
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    return _NUMBERS.sub(lambda match: "[" + ", ".join(match.group(1).replace(",", " ").split()) + "]", text) + "\n"


def evidence_digest(evidence: Evidence) -> str:
    """SHA-256 (hex) of a map: over its shape and its float32 values."""
    shape = ",".join(str(size) for size in evidence.shape).encode()
    return hashlib.sha256(shape + np.ascontiguousarray(evidence, dtype="<f4").tobytes()).hexdigest()
