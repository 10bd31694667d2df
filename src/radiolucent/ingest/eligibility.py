"""May an engine read this stack? A table of rules, each with a code and a sentence; a refusal is a result."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from radiolucent.engines.manifest import Manifest, ScopeSpec
from radiolucent.errors import InvalidBundle, UnreadablePixels
from radiolucent.findings.reading import Refusal
from radiolucent.imaging.quality import StackFacts, facts
from radiolucent.imaging.study import Stack
from radiolucent.imaging.terms import BODY_PART, BODY_PARTS

_FLUOROSCOPY = ("1.2.840.10008.5.1.4.1.1.12.1", "1.2.840.10008.5.1.4.1.1.12.2", "1.2.840.10008.5.1.4.1.1.13.1.1")
"""X-Ray Angiographic, Radiofluoroscopic and 3D Angiographic Image Storage, also the enhanced forms (PS3.4 B.5)."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a rule looks at: one stack, what is known of it, and the engine that is asked."""

    stack: Stack
    facts: StackFacts
    manifest: Manifest

    @property
    def scope(self) -> ScopeSpec:
        """What the engine may be given."""
        return self.manifest.scope


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One reason to refuse.

    Parameters
    ----------
    code : short and stable.
    sentence : for people; ``{case…}`` fields are filled in. Names no patient.
    refuses : True where the engine may not read the stack.
    final : the later rules would say nothing more, so they aren't asked.
    """

    code: str
    sentence: str
    refuses: Callable[[Case], bool]
    final: bool = False


def body_part_names(wanted: Iterable[str], where: str = "scope.body_parts") -> tuple[str, ...]:
    """Words of a manifest's field `where` in this project's: ``BRAIN`` and ``head`` are both ``head``.

    Raises
    ------
    InvalidBundle
        If a word is no body part that headers are searched for.
    """
    names = []
    for word in wanted:
        term = word.upper().replace(" ", "")
        found = [part.name for part in BODY_PARTS if word == part.name or term in part.terms]
        if not found:
            raise InvalidBundle(f"{where}: {word!r} is not known; known: {', '.join(BODY_PART)}")
        names.append(found[0])
    return tuple(names)


def is_part_of(body_part: str, wanted: Iterable[str], where: str = "scope.body_parts") -> bool:
    """Whether a part of the body, in this project's word for it, is one of the parts wanted or lies within one.

    >>> is_part_of("lumbar-spine", ["SPINE"]), is_part_of("extremity", ["HAND"]), is_part_of("", ["HAND"])
    (True, False, False)

    Raises
    ------
    InvalidBundle
        If a wanted word is no body part that headers are searched for.
    """
    names = body_part_names(wanted, where)
    while body_part and body_part not in names:
        body_part = BODY_PART[body_part].within
    return bool(body_part)


def _other_body_part(case: Case) -> bool:
    return bool(case.facts.body_part) and not is_part_of(case.facts.body_part, case.scope.body_parts)


def _too_small(case: Case) -> bool:
    return case.facts.rows < case.manifest.head.grid[0] or case.facts.columns < case.manifest.head.grid[1]


def _other_view(case: Case) -> bool:
    return bool(case.facts.view) and case.facts.view not in {view.upper() for view in case.scope.views}


def _too_young(case: Case) -> bool:
    youngest, age = case.scope.minimum_age_years, case.facts.age_years
    return youngest is not None and age is not None and age < youngest


RULES: tuple[Rule, ...] = (
    Rule(
        code="no-content",
        sentence="every pixel has the same value: there is no picture to read; send the series again",
        refuses=lambda case: case.facts.constant,
        final=True,
    ),
    Rule(
        code="colour",
        sentence="this is a colour picture (a photo, a screen or an overlay), not the scanner's own grey image",
        refuses=lambda case: case.stack.colour,
        final=True,
    ),
    Rule(
        code="secondary",
        sentence="this is a secondary capture or a re-formatted image, not the scanner's own; send the original series",
        refuses=lambda case: case.facts.is_secondary,
        final=True,
    ),
    Rule(
        code="localiser",
        sentence="this is a localiser, taken to plan the other series",
        refuses=lambda case: case.facts.is_localiser,
        final=True,
    ),
    Rule(
        code="burned-in",
        sentence="the header says that text is burned into the pixels",
        refuses=lambda case: case.facts.burned_in is True,
    ),
    Rule(
        code="no-geometry",
        sentence="this series has {case.facts.frames} frames without positions in the patient, so it is no volume",
        refuses=lambda case: case.stack.kind == "frames",
    ),
    Rule(
        code="too-few-slices",
        sentence="{case.manifest.title} needs {case.scope.minimum_slices} slices or more; this has {case.facts.frames}",
        refuses=lambda case: case.facts.frames < case.scope.minimum_slices,
    ),
    Rule(
        code="too-small",
        sentence="an image of {case.facts.rows} × {case.facts.columns} pixels holds less than the engine's own grid",
        refuses=_too_small,
    ),
    Rule(
        code="spacing-unknown",
        sentence="{case.manifest.title} needs the pixel spacing in mm, and the header doesn't give it",
        refuses=lambda case: case.scope.needs_spacing and case.stack.spacing_mm is None,
    ),
    Rule(
        code="body-part-unknown",
        sentence="the header doesn't say which body part this is; {case.manifest.title} reads {body_parts}",
        refuses=lambda case: bool(case.scope.body_parts) and not case.facts.body_part,
    ),
    Rule(
        code="body-part-conflict",
        sentence="the header names body parts that contradict each other: {named_parts}",
        refuses=lambda case: bool(case.scope.body_parts) and case.facts.body_part_conflict,
    ),
    Rule(
        code="body-part",
        sentence="{case.manifest.title} reads {body_parts}; this is {case.facts.body_part}",
        refuses=lambda case: bool(case.scope.body_parts) and _other_body_part(case),
    ),
    Rule(
        code="view-unknown",
        sentence="the header doesn't say which view this is; {case.manifest.title} reads {views}",
        refuses=lambda case: bool(case.scope.views) and not case.facts.view,
    ),
    Rule(
        code="view",
        sentence="{case.manifest.title} reads {views} views; this is {case.facts.view}",
        refuses=lambda case: bool(case.scope.views) and _other_view(case),
    ),
    Rule(
        code="weighting-unknown",
        sentence="the header doesn't say how this MR is weighted; {case.manifest.title} reads {case.scope.weighting}",
        refuses=lambda case: case.scope.weighting is not None and case.facts.weighting is None,
    ),
    Rule(
        code="weighting",
        sentence="{case.manifest.title} reads {case.scope.weighting}-weighted MR; this is {case.facts.weighting}",
        refuses=lambda case: (
            case.scope.weighting is not None and case.facts.weighting not in (None, case.scope.weighting)
        ),
    ),
    Rule(
        code="contrast-not-stated",
        sentence="the header doesn't say if a contrast agent was given; {case.manifest.title} needs {needed_contrast}",
        refuses=lambda case: case.scope.contrast is not None and case.facts.contrast is None,
    ),
    Rule(
        code="contrast",
        sentence="{case.manifest.title} needs {needed_contrast}; the header says the opposite",
        refuses=lambda case: case.scope.contrast is not None and case.facts.contrast is (not case.scope.contrast),
    ),
    Rule(
        code="age",
        sentence="{case.manifest.title} reads patients from {case.scope.minimum_age_years:g} years on",
        refuses=_too_young,
    ),
)


def refusals(stack: Stack, manifest: Manifest, known: StackFacts | None = None) -> tuple[Refusal, ...]:
    """Every reason why an engine may not read a stack; none at all means that it may.

    Parameters
    ----------
    stack : one series, or the part of it that belongs together.
    manifest : of the engine that is asked.
    known : what `imaging.quality.facts` says of the stack, where that is at hand; it decodes a few frames.

    Raises
    ------
    InvalidBundle
        If the manifest's scope names a body part that nobody knows.
    """
    if is_fluoroscopy(stack) and not {"RF", "XA"} & set(manifest.scope.modalities):
        reason = "this is fluoroscopy or angiography: a moving picture or a spot film, which no engine here has learned"
        return (_refusal(manifest, "fluoroscopy", reason),)
    if stack.modality not in manifest.scope.modalities:
        reads, modality = ", ".join(manifest.scope.modalities), stack.modality or "an image without a modality"
        return (_refusal(manifest, "modality", f"{manifest.title} reads {reads}; this is {modality}"),)
    try:
        case = Case(stack=stack, facts=known or facts(stack), manifest=manifest)
    except UnreadablePixels as error:
        return (_refusal(manifest, "unreadable-pixels", str(error)),)
    found: list[Refusal] = []
    for rule in RULES:
        if rule.refuses(case):
            found.append(_refusal(manifest, rule.code, sentence(rule, case)))
            if rule.final:
                break
    return tuple(found)


def is_fluoroscopy(stack: Stack) -> bool:
    """True for RF and XA, and for objects of their SOP classes whatever the modality says."""
    sop_class = stack.frames[0].sop_class_uid
    return stack.modality in ("RF", "XA") or sop_class.startswith(_FLUOROSCOPY)


def sentence(rule: Rule, case: Case) -> str:
    """The rule's sentence about this case."""
    return rule.sentence.format(
        case=case,
        body_parts=", ".join(dict.fromkeys(body_part_names(case.scope.body_parts))),
        named_parts=", ".join(case.facts.body_parts),
        views=", ".join(case.scope.views),
        needed_contrast="images after contrast" if case.scope.contrast else "images without contrast",
    )


def _refusal(manifest: Manifest, code: str, reason: str) -> Refusal:
    return Refusal(code=code, reason=reason, engine=manifest.label)
