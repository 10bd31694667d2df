"""What the study's page hands to the viewer: panes with series and findings, as this reader may see them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from radiolucent.errors import SenderError
from radiolucent.findings.change import Alignments
from radiolucent.findings.hierarchy import ranked
from radiolucent.findings.reading import Reading
from radiolucent.findings.taxonomy import finding_type
from radiolucent.imaging.header import text
from radiolucent.store.room import Decision
from radiolucent.web.access import Gate, Visitor
from radiolucent.web.comparing import aligned_pairs, alignments_of, change_url, counterpart
from radiolucent.web.images import frames_url, heat_url, packed
from radiolucent.web.pages import day
from radiolucent.web.sources import OpenStudy
from radiolucent.web.viewer_data import finding_view, series_meta, study_view


def viewer_json(
    opened: OpenStudy,
    reading: Reading | None,
    prior: Reading | None,
    seen: Gate,
    who: Visitor,
    *,
    decisions: Sequence[Decision] = (),
) -> Markup:
    """`StudyView` of the viewer, safe inside a script element.

    Parameters
    ----------
    reading, prior : what this visitor may see of both readings; None shows images alone.
    decisions : whose redrawn regions are drawn again; of each reader and finding the latest.
    """
    alignments = alignments_of(opened)
    panes = [_pane("current", opened, reading, seen, prior=prior, alignments=alignments)]
    if opened.prior is not None and opened.prior.study is not None:
        panes.append(_pane("prior", opened.prior, prior, seen))
    view = study_view(panes, alignments=aligned_pairs(alignments), same_space=_same_space(opened))
    uid = opened.summary.study_instance_uid
    view["regions"] = _regions(decisions)
    told = json.dumps(view | {"views_url": f"/studies/{uid}/views", "csrf": who.csrf}, allow_nan=False)
    return Markup(told.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _pane(
    role: str,
    opened: OpenStudy,
    reading: Reading | None,
    seen: Gate,
    *,
    prior: Reading | None = None,
    alignments: Alignments | None = None,
) -> dict[str, Any]:
    series = []
    for stack in opened.study.stacks if opened.study else ():
        try:
            series.append(series_meta(stack, packed(stack), frames_url=frames_url(stack)))
        except SenderError:
            continue  # the page lists it among what could not be read
    known = {one["uid"] for one in series}
    findings = []
    for entry in ranked(reading) if reading else ():
        finding, read = entry.finding, entry.series
        if read.key not in known:
            continue
        code = seen.verdict("heat", read.engine, finding.name).code
        where = finding.localisation
        located = where is not None and where.status in ("located", "empty")
        url = heat_url(opened.summary, finding, read) if not code and located else None
        changed = counterpart(finding, read, prior, alignments or {}) if url else None
        findings.append(
            finding_view(
                finding,
                read,
                heat_url=url,
                heat_reason=code or (where.reason if where else ""),
                change_url=change_url(opened.summary.result_id, finding, read) if changed else None,
            )
        )
    one = opened.summary
    first = {entry["series"] for entry in findings[:1]}
    series.sort(key=lambda about: about["uid"] not in first)
    return {
        "role": role,
        "caption": f"{one.patient_id} {day(one.study_date)}".strip(),
        "series": series,
        "findings": findings,
    }


def _regions(decisions: Sequence[Decision]) -> list[dict[str, Any]]:
    latest = {(one.reader, one.series_key, one.finding): one for one in decisions if one.region}
    found = []
    for one in latest.values():
        region = json.loads(one.region)
        label = f"{finding_type(one.finding).label}, redrawn by {one.reader}"
        found.append({"series": one.series_key, "frame": region["frame"], "points": region["points"], "label": label})
    return found


def _same_space(opened: OpenStudy) -> bool:
    def frames(study: OpenStudy | None) -> set[str]:
        stacks = study.study.stacks if study and study.study else ()
        return {text(stack.header, "FrameOfReferenceUID") for stack in stacks} - {""}

    return bool(frames(opened) & frames(opened.prior))
