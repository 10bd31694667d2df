"""What is odd about a stack that an engine may read all the same: flags, said beside its findings; a table of rules.

A manifest may turn any flag into a refusal by naming its code in ``scope.refuse``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from radiolucent.engines.manifest import Manifest
from radiolucent.findings.reading import Refusal
from radiolucent.imaging.defects import Defects, defects
from radiolucent.imaging.header import text
from radiolucent.imaging.quality import StackFacts, facts
from radiolucent.imaging.spacing import PROJECTIONS
from radiolucent.imaging.study import Stack

ADULT_YEARS = 16.0
BURNT_OUT, UNEXPOSED = 0.05, 0.7
"""Share of a film's middle at its largest or smallest value; the largest of 210 validation films: .0015 and .48."""
BLURRED = 0.005
"""Sharpness (`imaging.defects`). Of 210 validation films none is under .0057; blurred by 4 pixels, 99 % are."""
LEAST_HEAD_MM = 90.0
METAL_ML = 0.2
_WORDS = ("SeriesDescription", "ProtocolName", "StudyDescription", "BodyPartExamined", "ImageComments")
_HARDWARE = re.compile(
    r"\b(IMPLANTS?|PROSTHE\w+|ARTHROPLAST\w+|THR|TKR|THA|TKA|ORIF|OSTEOSYNTHES\w+|PLATES?|NAILS?|SCREWS?|HARDWARE|"
    r"PACEMAKER|ICD|POST[ -]?OP\w*)\b"
)
_MOTION = re.compile(r"\b(MOTION|MOVED|MOVEMENT|REPEAT(ED)?)\b")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a flag looks at."""

    stack: Stack
    facts: StackFacts
    defects: Defects
    manifest: Manifest

    @property
    def film(self) -> bool:
        """A radiograph."""
        return self.stack.modality in PROJECTIONS

    def says(self, pattern: re.Pattern[str]) -> bool:
        """Whether a description in the header has one of the words."""
        described = " ".join(text(self.stack.header, keyword).upper().replace("_", " ") for keyword in _WORDS)
        return bool(pattern.search(described))


@dataclass(frozen=True, kw_only=True)
class Flag:
    """One reason to look twice.

    Parameters
    ----------
    code : short and stable; ``scope.refuse`` names it.
    sentence : for people, without full stop; ``{seen…}`` fields are filled in. Names no patient.
    """

    code: str
    sentence: str
    applies: Callable[[Seen], bool]


def _cut_off(seen: Seen) -> bool:
    """A chest film whose lungs run out of the picture, or a head volume too short to hold a brain."""
    if seen.film and seen.facts.body_part == "chest":
        lungs = seen.stack.lungs
        edge = [lungs.mask[0], lungs.mask[:, 0], lungs.mask[:, -1]]
        return lungs.found and any(float(line.mean()) > 0.12 for line in edge)
    covered = seen.defects.covered_mm
    parts = {part.lower() for part in seen.manifest.scope.body_parts}
    return covered is not None and bool(parts & {"head", "brain"}) and covered < LEAST_HEAD_MM


def _blurred(seen: Seen) -> bool:
    sharp = seen.defects.sharpness
    return seen.says(_MOTION) or (seen.film and sharp is not None and sharp < BLURRED)


FLAGS: tuple[Flag, ...] = (
    Flag(
        code="portable",
        sentence="taken at the bedside: a magnified heart, shallow breath and lines are usual and no finding",
        applies=lambda seen: seen.facts.portable,
    ),
    Flag(
        code="paediatric",
        sentence="the patient is {seen.facts.age_years:.0f} years old: the engine learned from adults",
        applies=lambda seen: seen.facts.age_years is not None and seen.facts.age_years < ADULT_YEARS,
    ),
    Flag(
        code="age-unknown",
        sentence="the header doesn't say how old the patient is: the engine learned from adults",
        applies=lambda seen: seen.manifest.scope.minimum_age_years is not None and seen.facts.age_years is None,
    ),
    Flag(
        code="hardware",
        sentence="metal or an implant is in the picture: what lies beside it may be hidden or imitated",
        applies=lambda seen: seen.says(_HARDWARE) or (seen.defects.metal_ml or 0) > METAL_ML,
    ),
    Flag(
        code="exposure",
        sentence="a large part of the picture is burnt out or not exposed: nothing can be seen there",
        applies=lambda seen: (
            seen.film and (seen.defects.clipped_bright > BURNT_OUT or seen.defects.clipped_dark > UNEXPOSED)
        ),
    ),
    Flag(
        code="field-of-view",
        sentence="part of what the engine reads lies outside the picture",
        applies=_cut_off,
    ),
    Flag(
        code="motion",
        sentence="the picture is blurred, or its header speaks of motion",
        applies=_blurred,
    ),
    Flag(
        code="text",
        sentence="text is burned into the picture: it may name the patient, and no engine can tell it from a sign",
        applies=lambda seen: seen.defects.glyphs > 0,
    ),
    Flag(
        code="raw",
        sentence="these are raw detector values (for processing), not the picture made for reading",
        applies=lambda seen: seen.facts.is_for_processing,
    ),
    Flag(
        code="lossy",
        sentence="the picture was compressed with loss",
        applies=lambda seen: seen.facts.is_lossy,
    ),
    Flag(
        code="polarity",
        sentence="the film looks inverted: black and white may be exchanged",
        applies=lambda seen: seen.facts.polarity_doubtful,
    ),
)


def flags(stack: Stack, manifest: Manifest, known: StackFacts | None = None) -> tuple[Refusal, ...]:
    """Every flag of a stack, with code and sentence; a code in the manifest's ``scope.refuse`` is a refusal.

    Parameters
    ----------
    known : what `imaging.quality.facts` says of the stack, where that is at hand.

    Raises
    ------
    UnreadablePixels
        If a sampled frame can't be decoded.
    """
    seen = Seen(stack=stack, facts=known or facts(stack), defects=defects(stack), manifest=manifest)
    return tuple(
        Refusal(code=flag.code, reason=flag.sentence.format(seen=seen), engine=manifest.label)
        for flag in FLAGS
        if flag.applies(seen)
    )
