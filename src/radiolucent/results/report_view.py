"""What the report's templates show of a reading: words, rounded numbers and inline pictures, nothing computed anew."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from markupsafe import Markup

from radiolucent.findings.hierarchy import ranked
from radiolucent.findings.location import full_place, short_place
from radiolucent.findings.narrative import PLAIN, Narrative, Voice, write
from radiolucent.findings.phrases import phrases
from radiolucent.findings.quantities import in_words
from radiolucent.findings.reading import Completeness, Finding, Reading, Region, SeriesReading
from radiolucent.findings.taxonomy import finding_type
from radiolucent.findings.urgency import level_number
from radiolucent.results.charts import slice_curve, value_bar

CHANGES = {
    "new": "new",
    "larger": "larger",
    "smaller": "smaller",
    "unchanged": "unchanged",
    "resolved": "below threshold now",
    "not-compared": "not compared",
}


@dataclass(frozen=True, kw_only=True)
class StudyFacts:
    """What identifies a study on the page, as the header gave it. There is no patient name, on purpose.

    Parameters
    ----------
    study_date, prior_study_date : DICOM DA (``YYYYMMDD``) or empty; anything else is shown as it is.
    """

    study_instance_uid: str
    patient_id: str = ""
    study_date: str = ""
    description: str = ""
    modality: str = ""
    accession_number: str = ""
    prior_study_date: str = ""


@dataclass(frozen=True, kw_only=True)
class FindingPicture:
    """The pictures of one positive finding, PNG bytes.

    Parameters
    ----------
    series_instance_uid : of the series, or `SeriesReading.key` where a series holds several stacks.
    engine, finding : which finding of it; `engine` is ``name@version``.
    frame : index of the frame that is shown, from 0.
    image_png : the image alone, without overlay.
    overlay_png : image, map and legend (`explain.overlay.overlay`); None where the localisation failed.
    prior_image_png, prior_overlay_png : the same place on the prior, same absolute scale; None without a prior.
    prior_frame, prior_frames : index and number of the prior's frames, for its caption.
    caption : one more sentence under the pictures, or empty.
    """

    series_instance_uid: str
    engine: str
    finding: str
    frame: int
    image_png: bytes
    overlay_png: bytes | None
    prior_image_png: bytes | None = None
    prior_overlay_png: bytes | None = None
    prior_frame: int | None = None
    prior_frames: int | None = None
    caption: str = ""


@dataclass(frozen=True, kw_only=True)
class SeriesPicture:
    """One plain image of a series without a positive finding, so that a page never speaks of unseen images.

    `series_instance_uid` may be `SeriesReading.key`, as in `FindingPicture`.
    """

    series_instance_uid: str
    frame: int
    image_png: bytes


@dataclass(frozen=True, kw_only=True)
class Album:
    """All pictures of a report, found by what they show."""

    findings: Mapping[tuple[str, str, str], FindingPicture]
    series: Mapping[str, SeriesPicture]

    @classmethod
    def of(cls, pictures: Iterable[FindingPicture], series_pictures: Iterable[SeriesPicture]) -> Album:
        """Arrange pictures.

        Raises
        ------
        ValueError
            If two pictures claim the same finding: one would stand under the other's name.
        """
        findings: dict[tuple[str, str, str], FindingPicture] = {}
        for picture in pictures:
            key = (picture.series_instance_uid, picture.engine, picture.finding)
            if key in findings:
                raise ValueError(f"two pictures of {picture.finding} in one series: name each by the series' key")
            findings[key] = picture
        return cls(findings=findings, series={picture.series_instance_uid: picture for picture in series_pictures})


def data_uri(png: bytes) -> str:
    """A PNG as a ``data:`` address."""
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


def day(value: str) -> str:
    """A DICOM date as people read it (ISO 8601); anything else as it is.

    >>> day("20261120"), day("1996")
    ('2026-11-20', '1996')
    """
    try:
        return datetime.strptime(value, "%Y%m%d").date().isoformat()
    except ValueError:
        return value


def study_view(
    reading: Reading, facts: StudyFacts, album: Album, *, number: int, voice: Voice = PLAIN
) -> dict[str, Any]:
    """One study, as ``report.html.j2`` shows it; `voice` tells the draft report, the page itself is English."""
    narrative = write(reading) if reading.series else None
    order = {id(entry.finding): entry.rank for entry in ranked(reading)}
    series = [
        _series(one, album, facts, narrative, order, anchor=f"finding-{number}-{index}")
        for index, one in enumerate(reading.series, start=1)
    ]
    positives = [finding for one in series for finding in one["positives"]]
    return {
        "title": facts.description or (f"{facts.modality} study" if facts.modality else "Study"),
        "facts": _facts(reading, facts),
        "identity": _identity(facts.patient_id, facts.study_date),
        "prior_identity": _identity(facts.patient_id, facts.prior_study_date),
        "state": reading.state,
        "series": series,
        "positives": sorted(positives, key=lambda finding: int(finding["rank"])),
        "draft": write(reading, voice.language, templates=voice.templates) if reading.series else None,
        "unread": reading.unread,
        "problems": reading.problems,
    }


def _identity(patient_id: str, date: str) -> str:
    return " · ".join(part for part in (patient_id or "no patient ID", day(date) or "no date") if part)


def _facts(reading: Reading, facts: StudyFacts) -> list[tuple[str, str]]:
    rows = [
        ("Patient ID", facts.patient_id or "not given"),
        ("Study date", day(facts.study_date) or "not given"),
        ("Modality", facts.modality),
        ("Accession number", facts.accession_number),
        ("Compared with", f"prior of {day(facts.prior_study_date)}" if facts.prior_study_date else ""),
        ("Study Instance UID", reading.study_instance_uid),
    ]
    return [(name, value) for name, value in rows if value]


def _series(
    series: SeriesReading,
    album: Album,
    facts: StudyFacts,
    narrative: Narrative | None,
    order: Mapping[int, int],
    *,
    anchor: str,
) -> dict[str, Any]:
    positives = sorted(series.positives, key=lambda finding: order[id(finding)])
    picture = album.series.get(series.key) or album.series.get(series.series_instance_uid)
    return {
        "description": series.description,
        "modality": series.modality,
        "extent": "one image" if len(series.frames) == 1 else f"{len(series.frames)} {_word(series)}s",
        "engine": series.engine.label,
        "digest": series.engine.digest,
        "timing": _timing(series.milliseconds),
        "complete": series.completeness.holds,
        "completeness": completeness_words(series.completeness),
        "notes": series.notes,
        "measures": [_sentence(in_words(one, phrases("en"))) for one in series.measurements],
        "picture": picture and {"image": data_uri(picture.image_png), "place": _place(series, picture.frame)},
        "positives": [
            {**_positive(finding, series, album, facts, narrative, anchor), "rank": order[id(finding)]}
            for finding in positives
        ],
        "below": [_common(finding) for finding in series.findings if not finding.positive],
    }


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def completeness_words(check: Completeness) -> str:
    """Whether the stored map gives the score back, in a sentence; only mean pooling adds up."""
    if check.pooling == "gradient" and check.holds:
        return "The stored map is of first order: it shows where the score is sensitive and doesn't add up to it."
    verb = "adds up to" if check.pooling == "mean" else "gives back"
    figures = f"largest difference {check.largest_difference:.1g} logits, limit {check.tolerance:.0e}"
    if check.holds:
        return f"Completeness checked: the stored map {verb} the score ({check.pooling} pooling; {figures})."
    return f"The stored map does not give the score back ({figures}): its explanation can't be trusted."


def _timing(milliseconds: Mapping[str, float]) -> str:
    parts = ", ".join(f"{name} {value:.0f}" for name, value in milliseconds.items())
    return f"{sum(milliseconds.values()):.0f} ms ({parts})" if parts else "time not recorded"


def _word(series: SeriesReading) -> str:
    return "slice" if series.kind == "volume" else "image"


def _place(series: SeriesReading, frame: int) -> str:
    return f"{_word(series)} {frame + 1}/{len(series.frames)}"


def _common(finding: Finding) -> dict[str, Any]:
    calibrated = finding.probability is not None
    number = finding.score if finding.probability is None else finding.probability
    value = f"{number:.2f}"
    kind = "calibrated probability" if calibrated else "score, not calibrated"
    label = finding_type(finding.name).label
    point = f"{finding.operating_point:.2f}"
    return {
        "label": label,
        "number": number,
        "value": value,
        "kind": kind,
        "operating_point": point,
        "interval": "" if finding.interval is None else "{:.2f} to {:.2f}".format(*finding.interval),
        "basis": finding.basis,
        "bar": value_bar(number, finding.operating_point, f"{label}: {kind} {value}, operating point {point}"),
        "change": CHANGES[finding.change] if finding.change else "",
    }


def _positive(
    finding: Finding,
    series: SeriesReading,
    album: Album,
    facts: StudyFacts,
    narrative: Narrative | None,
    anchor: str,
) -> dict[str, Any]:
    where, words = finding.localisation, phrases("en")
    regions = where.regions if where else ()
    notes = next((note for note in narrative.notes if note.name == finding.name), None) if narrative else None
    peaks, failed = finding.heatmap.frame_peaks, where is not None and where.status == "failed"
    shown = where.peak_frame if where and where.peak_frame is not None else finding.heatmap.peak_frame
    place = full_place(finding, series, words)
    return {
        **_common(finding),
        "series": series.description,
        "anchor": f"{anchor}-{finding.name}",
        "urgency": finding.urgency,
        "urgency_number": level_number(finding.urgency) if finding.urgency else 0,
        "confidence": finding.confidence,
        "explanation": finding.explanation,
        "place": place[:1].upper() + place[1:] + (f" ({where.focality})" if where and regions else ""),
        "short_place": short_place(finding, series, words),
        "reason": where.reason if where and where.reason else "The map could not be located.",
        "prior_date": day(facts.prior_study_date),
        "change_note": finding.change_note,
        "picture": picture_view(finding, series, album),
        "focus_columns": _focus_columns(series),
        "foci": [_focus(region, series) for region in regions],
        "curve": _curve(finding, shown) if len(peaks) > 1 and not failed else Markup(""),
        "notes": notes,
    }


def _curve(finding: Finding, shown: int) -> Markup:
    heatmap = finding.heatmap
    return slice_curve(
        [float(value) for value in heatmap.frame_peaks],
        floor=heatmap.floor * heatmap.display_scale,
        display_scale=heatmap.display_scale,
        shown=shown,
    )


def picture_view(finding: Finding, series: SeriesReading, album: Album) -> dict[str, Any] | None:
    """The pictures of a finding as a page shows them inline, with their places; None where there is none."""
    by = (series.engine.label, finding.name)
    picture = album.findings.get((series.key, *by))
    if picture is None:
        return None
    inline = {
        "image": picture.image_png,
        "overlay": picture.overlay_png,
        "prior_image": picture.prior_image_png,
        "prior_overlay": picture.prior_overlay_png,
    }
    prior = ""
    if picture.prior_frame is not None and picture.prior_frames is not None:
        prior = f"{_word(series)} {picture.prior_frame + 1}/{picture.prior_frames}"
    return {
        **{name: data_uri(png) if png else None for name, png in inline.items()},
        "place": _place(series, picture.frame),
        "prior_place": prior,
        "caption": picture.caption,
    }


def _focus_columns(series: SeriesReading) -> list[str]:
    volume = ["Slices", "Volume"] if series.kind == "volume" else []
    patient = ["Centre L, P, S (mm)"] if series.frames[0].plane else []
    return ["Peak on", *volume, "Extent", "Area", *patient, "Of the map"]


def _focus(region: Region, series: SeriesReading) -> list[str]:
    cells = [_place(series, region.frame)]
    if series.kind == "volume":
        cells.append(f"{region.first_frame + 1}–{region.last_frame + 1}")
        cells.append("unknown" if region.volume_ml is None else f"{region.volume_ml:.1f} ml")
    if region.extent_mm is None or region.area_mm2 is None:
        cells += ["unknown (no pixel spacing)", f"{region.area_pixels:.0f} pixels"]
    else:
        cells += [f"{region.extent_mm[0]:.0f} × {region.extent_mm[1]:.0f} mm", f"{region.area_mm2:.0f} mm²"]
    if series.frames[0].plane:
        center = region.centroid_mm
        cells.append(", ".join(f"{value:.0f}" for value in center) if center else "unknown")
    return [*cells, f"{100 * region.share:.0f} %"]
