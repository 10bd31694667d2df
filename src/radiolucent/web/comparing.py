"""Current and prior side by side: how their volumes lie to each other, and what has changed between two maps."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

import numpy as np
from fastapi import APIRouter, Query
from fastapi.responses import Response

from radiolucent.errors import SenderError
from radiolucent.explain.difference import difference
from radiolucent.findings.change import Alignments
from radiolucent.findings.reading import Finding, Reading, SeriesReading
from radiolucent.imaging.registration import Alignment
from radiolucent.pipeline.alignments import read_alignments
from radiolucent.results.reading_json import evidence_digest
from radiolucent.web.access import Here, Refused, Someone, gate
from radiolucent.web.images import opened_result
from radiolucent.web.seeing import limited, may_draw, note_sent, shows_map
from radiolucent.web.sources import OpenStudy

router = APIRouter(prefix="/api/v1")


@dataclass(frozen=True, kw_only=True)
class Counterpart:
    """The same finding by the same engine on the prior, and how both volumes lie to each other."""

    finding: Finding
    series: SeriesReading
    alignment: Alignment


def alignments_of(opened: OpenStudy) -> Alignments:
    """What was registered when the study was read; empty where nothing was, or the file is broken."""
    if opened.prior is None or opened.summary.folder is None:
        return {}
    try:
        return read_alignments(opened.summary.folder)
    except SenderError:
        return {}  # the link says "approximate", and no change is offered


def aligned_pairs(alignments: Alignments) -> list[dict[str, Any]]:
    """The `alignments` of the viewer's `StudyView`."""
    return [
        {
            "current": current,
            "prior": prior,
            "matrix": [float(value) for value in one.to_current.ravel()],
            "note": one.note,
        }
        for (current, prior), one in alignments.items()
    ]


def counterpart(
    finding: Finding, series: SeriesReading, prior: Reading | None, alignments: Alignments
) -> Counterpart | None:
    """What the finding's map can be compared with; None where there is no such map or no registration."""
    for before in prior.series if prior else ():
        alignment = alignments.get((series.key, before.key))
        if alignment is None or before.engine != series.engine:
            continue
        for old in before.findings:
            if old.name == finding.name and shows_map(old) and shows_map(finding):
                return Counterpart(finding=old, series=before, alignment=alignment)
    return None


def change_url(result_id: str, finding: Finding, series: SeriesReading) -> str:
    """The address of what has changed in a finding's map."""
    return f"/api/v1/results/{quote(result_id)}/change/{finding.name}?series={quote(series.key, safe='')}"


@router.get("/results/{rid}/change/{finding}")
def change(
    rid: str, finding: str, here: Here, who: Someone, series: Annotated[str, Query(max_length=80)] = ""
) -> Response:
    """Evidence now minus before at the same places, uint8: 0 to 255 is X-Vmin to X-Vmax logits, symmetric about 0.

    Only between registered volumes that the same engine read, where both maps may be seen.
    """
    opened = opened_result(here, who, rid)
    found, read = may_draw(here, who, opened, series, finding)
    with here.store.read() as work:
        prior = limited(opened.prior.summary.reading, gate(here, who, work)) if opened.prior else None
    other = counterpart(found, read, prior, alignments_of(opened))
    if other is None:
        raise Refused(404, "not_registered", "There is no registered prior whose map this one can be compared with.")
    values = difference((found, read), (other.finding, other.series), other.alignment)
    most = max(float(np.abs(values).max()), found.heatmap.display_scale)
    stored = np.rint(np.clip(values / most, -1, 1) * 127.0 + 127.0).astype(np.uint8)
    note_sent(here, who, opened, found, read, sha256=evidence_digest(values), form="change")
    matrix = found.heatmap.record.grid_to_source(found.heatmap.grid)
    headers = {
        "X-Shape": ",".join(str(size) for size in values.shape),
        "X-Vmin": repr(-most),
        "X-Vmax": repr(most * 128 / 127),
        "X-Scale": "absolute",
        "X-Display-Scale": repr(float(found.heatmap.display_scale)),
        "X-Engine": read.engine.label,
        "X-Registration": other.alignment.note.encode("ascii", "ignore").decode(),
        "X-Grid-To-Source": json.dumps([round(float(value), 9) for value in matrix[:2].ravel()]),
    }
    return Response(stored.tobytes(), media_type="application/octet-stream", headers=headers)
