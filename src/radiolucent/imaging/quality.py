"""Cheap facts about a stack that decide whether an engine may read it: what it shows, how, and if anything at all.

Everything comes from the header and from a few frames; what the header doesn't say is None or empty, never guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

import numpy as np
from pydicom.dataset import Dataset

from radiolucent.imaging.header import frame_holder, number, text, texts, value
from radiolucent.imaging.polarity import DOUBTFUL_BELOW, mediastinal_excess
from radiolucent.imaging.spacing import PROJECTIONS
from radiolucent.imaging.study import Stack
from radiolucent.imaging.terms import (
    ACQUISITION_CONTRASTS,
    BODY_PART,
    BODY_PARTS,
    NO_AGENT,
    PORTABLE_MODELS,
    PORTABLE_WORDS,
    VIEW_CODES,
    VIEW_POSITIONS,
    VIEW_WORDS,
    WEIGHTING_WORDS,
    WITH_CONTRAST,
    WITHOUT_CONTRAST,
    View,
    Weighting,
    words,
)

SAMPLED_FRAMES: Final = 5
"""So many frames, evenly spread, are decoded to see whether there is a picture and how much of it is saturated."""
SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
_DESCRIPTIONS: Final = ("SeriesDescription", "ProtocolName", "StudyDescription")
_LOCALISER: Final = words(
    r"LOCALI[SZ]ER\w*|LOC|SCOUT|TOPOGRAM|SURVEY|PLAN SCAN|TOPO|3[- ]?PLANE|SMART ?PREP|BOLUS TRACK\w*"
)
_DAYS: Final = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}
Orientation = Literal["axial", "coronal", "sagittal", "oblique"]


@dataclass(frozen=True, kw_only=True)
class StackFacts:
    """What can be said about a stack without reading it as a radiologist would.

    Parameters
    ----------
    body_part : this project's word (`terms.BODY_PARTS`), the most exact one that the header supports; empty if unknown.
    body_parts : every part that the header names, `body_part` first.
    body_part_conflict : True where code and description name different, unrelated parts.
    view : of a projection image; empty where unknown.
    portable : True where a description, or the name of a mobile unit, says so; False is no proof of a fixed unit.
    age_years : from Patient's Age, else from birth date and study date.
    sex : F, M, O or empty.
    weighting : of an MR, None where unknown or contradictory.
    contrast : agent given, not given, or None where unknown or contradictory.
    burned_in : Burned In Annotation, None where the header doesn't say.
    constant : every sampled pixel has the same value.
    saturation : share of sampled pixels at the largest sampled value, in [0, 1].
    orientation : of the first frame's plane, None without geometry.
    is_for_processing : raw detector values (Presentation Intent Type), not made for reading.
    is_lossy : was compressed with loss at some time (Lossy Image Compression).
    polarity_doubtful : a chest film, not a lateral one, that looks inverted: a reason to warn, see `polarity`.
    """

    modality: str
    frames: int
    rows: int
    columns: int
    body_part: str = ""
    body_parts: tuple[str, ...] = ()
    body_part_conflict: bool = False
    view: View = ""
    portable: bool = False
    age_years: float | None = None
    sex: str = ""
    weighting: Weighting | None = None
    contrast: bool | None = None
    burned_in: bool | None = None
    constant: bool = False
    saturation: float = 0.0
    orientation: Orientation | None = None
    is_localiser: bool = False
    is_derived: bool = False
    is_secondary: bool = False
    is_for_processing: bool = False
    is_lossy: bool = False
    polarity_doubtful: bool = False


def facts(stack: Stack) -> StackFacts:
    """Collect the facts of one stack; decodes at most `SAMPLED_FRAMES` frames.

    Raises
    ------
    UnreadablePixels
        If a sampled frame can't be decoded.
    """
    header = stack.header
    parts, conflict = body_parts(header)
    chosen = sorted({*np.linspace(0, len(stack.frames) - 1, SAMPLED_FRAMES).round().astype(int).tolist()})
    sample = np.stack([stack.decode(index) for index in chosen])
    kinds = texts(header, "ImageType")
    plane = stack.frames[0].plane
    shown = view(header) if stack.modality in PROJECTIONS else ""
    chest_film = stack.modality in PROJECTIONS and "chest" in parts and shown not in {"LATERAL", "OBLIQUE", "AXIAL"}
    return StackFacts(
        modality=stack.modality,
        frames=len(stack.frames),
        rows=int(sample.shape[1]),
        columns=int(sample.shape[2]),
        body_part=parts[0] if parts else "",
        body_parts=parts,
        body_part_conflict=conflict,
        view=shown,
        portable=stack.modality in PROJECTIONS and portable(header),
        age_years=age_years(header),
        sex=next((sex for sex in texts(header, "PatientSex") if sex in {"F", "M", "O"}), ""),
        weighting=weighting(header, stack.frames[0].number) if stack.modality == "MR" else None,
        contrast=contrast(header, stack.frames[0].number),
        burned_in={"YES": True, "NO": False}.get(text(header, "BurnedInAnnotation").upper()),
        constant=bool(sample.min() == sample.max()),
        saturation=float((sample == sample.max()).mean()),
        orientation=None if plane is None else plane.orientation,
        is_localiser="LOCALIZER" in kinds or bool(_LOCALISER.search(_description(header, "SeriesDescription"))),
        is_derived=kinds[:1] == ("DERIVED",),
        is_secondary="SECONDARY" in kinds[1:2] or text(header, "SOPClassUID").startswith(SECONDARY_CAPTURE),
        is_for_processing=text(header, "PresentationIntentType").upper() == "FOR PROCESSING",
        is_lossy=text(header, "LossyImageCompression") == "01",
        polarity_doubtful=chest_film and mediastinal_excess(sample[0]) < DOUBTFUL_BELOW,
    )


def body_parts(header: Dataset) -> tuple[tuple[str, ...], bool]:
    """Body parts that the header names, and whether its sources contradict each other.

    Sources in order of trust: Anatomic Region Sequence, Body Part Examined, series description, protocol, study
    description. A more exact part of a later source replaces the less exact one (EXTREMITY + "distal tibia" is the
    lower leg).
    """
    named: list[str] = []
    conflict = False
    for found in (
        _coded_parts(header),
        _termed_parts(header),
        *(_described_parts(_description(header, keyword)) for keyword in _DESCRIPTIONS),
    ):
        if named and found and not any(_related(one, other) for one in named for other in found):
            conflict = True
        named += [name for name in found if name not in named]
    if not named:
        return (), False
    best = named[0]
    for name in named:
        if best in _within(name):
            best = name
    return (best, *(name for name in named if name != best)), conflict


def _within(name: str) -> tuple[str, ...]:
    """The larger parts that hold `name`, nearest first."""
    found: list[str] = []
    while (name := BODY_PART[name].within) != "":
        found.append(name)
    return tuple(found)


def _related(one: str, other: str) -> bool:
    return one == other or one in _within(other) or other in _within(one) or "whole-body" in (one, other)


def _coded_parts(header: Dataset) -> list[str]:
    codes = [text(item, "CodeValue") for item in value(header, "AnatomicRegionSequence") or ()]
    return [part.name for part in BODY_PARTS if set(codes) & set(part.codes)]


def _termed_parts(header: Dataset) -> list[str]:
    term = re.sub(r"[^A-Z]", "", text(header, "BodyPartExamined").upper())
    exact = [part.name for part in BODY_PARTS if term in part.terms]
    return exact or _described_parts(_description(header, "BodyPartExamined"))


def _described_parts(description: str) -> list[str]:
    found = [part.name for part in BODY_PARTS if words(part.words).search(description)]
    # "T spine" and "thoracic spine" name the chest by accident, "shoulder" names no arm
    if "thoracic-spine" in found and "chest" in found:
        found.remove("chest")
    return [name for name in found if not any(name in _within(other) for other in found)]


def _description(header: Dataset, keyword: str) -> str:
    return re.sub(r"[_^,;:()<>\[\]]+", " ", text(header, keyword).upper())


def view(header: Dataset) -> View:
    """View of a projection: View Position, View Code Sequence, then the descriptions; empty where none says."""
    position = VIEW_POSITIONS.get(text(header, "ViewPosition").upper())
    if position:
        return position
    for item in value(header, "ViewCodeSequence") or ():
        if text(item, "CodeValue") in VIEW_CODES:
            return VIEW_CODES[text(item, "CodeValue")]
    for keyword in ("SeriesDescription", "ProtocolName", "AcquisitionDeviceProcessingDescription", "StudyDescription"):
        description = _description(header, keyword)
        named: set[View] = {name for pattern, name in VIEW_WORDS if words(pattern).search(description)}
        if len(named) == 1:
            return named.pop()
    return ""


def portable(header: Dataset) -> bool:
    """True where a description or the unit's name says that the film was taken at the bedside."""
    described = " ".join(_description(header, keyword) for keyword in _DESCRIPTIONS)
    model = _description(header, "ManufacturerModelName")
    return bool(words(PORTABLE_WORDS).search(described) or words(PORTABLE_MODELS).search(model))


def age_years(header: Dataset) -> float | None:
    """Age in years: Patient's Age (PS3.5 AS), else study date minus birth date; None where neither can be used."""
    found = re.fullmatch(r"(\d{1,3})([DWMY])", text(header, "PatientAge").upper())
    if found:
        return int(found[1]) * _DAYS[found[2]]
    born, taken = (_day(text(header, keyword)) for keyword in ("PatientBirthDate", "StudyDate"))
    if born is None or taken is None or not 0 <= (taken - born).days <= 125 * 366:
        return None
    return (taken - born).days / 365.25


def _day(stamp: str) -> date | None:
    """A DICOM date, or the old form with full stops (PS3.5 DA)."""
    digits = stamp.replace(".", "")
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])) if len(digits) == 8 else None
    except ValueError:
        return None


def contrast(header: Dataset, frame: int = 1) -> bool | None:
    """Whether a contrast agent was given, by tags and by descriptions; None where unknown or contradictory."""
    said = {answer for answer in (_agent(header, frame), _contrast_words(header)) if answer is not None}
    return said.pop() if len(said) == 1 else None


def _agent(header: Dataset, frame: int) -> bool | None:
    administered = text(frame_holder(header, frame, "ContrastBolusAgentAdministered"), "ContrastBolusAgentAdministered")
    if administered.upper() in {"YES", "NO"}:
        return administered.upper() == "YES"
    agent = text(header, "ContrastBolusAgent").upper()
    return None if not agent else agent not in NO_AGENT


def _contrast_words(header: Dataset) -> bool | None:
    for keyword in _DESCRIPTIONS:
        description = _description(header, keyword)
        without = words(WITHOUT_CONTRAST).search(description) is not None
        rest = words(rf"(?:{WITHOUT_CONTRAST})(?:[ -]?(?:CONTRAST|GAD\w*|GD|KM|CON|IV|C))?").sub(" ", description)
        given = words(WITH_CONTRAST).search(rest) is not None
        if without != given:
            return given
    return None


def weighting(header: Dataset, frame: int = 1) -> Weighting | None:
    """MR weighting by Acquisition Contrast, else by name, else by timing; None where unknown or contradictory."""
    coded = ACQUISITION_CONTRASTS.get(text(header, "AcquisitionContrast").upper())
    if coded:
        return coded
    timed = _timed_weighting(header, frame)
    for keyword in ("SeriesDescription", "ProtocolName", "SequenceName", "PulseSequenceName"):
        named = _named_weightings(_description(header, keyword).replace("T2 FLAIR", "FLAIR"))
        if len(named) > 1 and timed in named:  # a dual echo is named after both
            return timed
        if named:
            return None if (named[0], timed) in _CONTRADICTIONS else named[0]
    return timed


_CONTRADICTIONS: Final = frozenset(
    {("T1", "T2"), ("T1", "FLAIR"), ("T1", "PD"), ("T2", "T1"), ("FLAIR", "T1"), ("PD", "T1")}
)


def _named_weightings(description: str) -> list[Weighting]:
    found: list[Weighting] = [name for pattern, name in WEIGHTING_WORDS if words(pattern).search(description)]
    if "T1" in found and "FLAIR" in found:
        found.remove("FLAIR")
    return found


def _timed_weighting(header: Dataset, frame: int) -> Weighting | None:
    """Weighting of a spin echo by repetition, echo and inversion time in ms; None for anything between the classes.

    Gradient echoes also depend on flip angle and spoiling and are left unnamed, but for inversion-prepared ones (T1).

    Source
    ------
    Bitar et al. 2006, doi:10.1148/rg.262055063 (short TR and TE: T1; long and long: T2; long and short: proton
    density; long inversion time: fluid suppressed). The edges in ms are this project's choice, with a margin between
    the classes.
    """
    repetition = number(frame_holder(header, frame, "RepetitionTime"), "RepetitionTime")
    echo = number(header, "EchoTime") or number(frame_holder(header, frame, "EffectiveEchoTime"), "EffectiveEchoTime")
    inversion = number(header, "InversionTime")
    inversion = inversion or number(frame_holder(header, frame, "InversionTimes"), "InversionTimes")
    if repetition is None or echo is None:
        return None
    sequence = texts(header, "ScanningSequence")
    if inversion and inversion >= 1500 and repetition >= 4000 and echo >= 60:
        return "FLAIR"
    if "GR" in sequence:
        return "T1" if inversion and 300 <= inversion <= 1300 and echo <= 10 else None
    if inversion or "EP" in sequence:
        return None
    for name, repetition_range, echo_range in _SPIN_ECHO:
        if repetition_range[0] <= repetition <= repetition_range[1] and echo_range[0] <= echo <= echo_range[1]:
            return name
    return None


_SPIN_ECHO: Final[tuple[tuple[Weighting, tuple[float, float], tuple[float, float]], ...]] = (
    ("T1", (200, 1000), (0, 30)),
    ("PD", (1500, 30000), (0, 45)),
    ("T2", (1500, 30000), (70, 300)),
)
