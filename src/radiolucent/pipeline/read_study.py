"""THE ROUTE of one study, read this first: load, ask who may read, prepare, run, check, calibrate, locate, judge.

Everything here is a function of the study and of the engines; nothing is written. `pipeline.output` writes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from radiolucent import __version__
from radiolucent.engines.manifest import FindingEntry, Manifest
from radiolucent.engines.preprocess import prepare
from radiolucent.engines.registry import Bundle
from radiolucent.engines.runtime import Engine, EngineOutput
from radiolucent.errors import EngineError, NotItsSite, SenderError
from radiolucent.explain.completeness import check
from radiolucent.explain.gate import GateTable
from radiolucent.explain.localize import localise
from radiolucent.findings.judgement import Tables
from radiolucent.findings.operating_points import OperatingPoints
from radiolucent.findings.profile import Profile
from radiolucent.findings.reading import (
    Completeness,
    EngineRef,
    Finding,
    Localisation,
    Reading,
    Refusal,
    SeriesReading,
    UnreadSeries,
)
from radiolucent.findings.stability import stability
from radiolucent.findings.taxonomy import finding_type
from radiolucent.imaging.body import image_left, midline_mm
from radiolucent.imaging.geometry import PixelRecord
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.imaging.quality import StackFacts, facts
from radiolucent.imaging.study import Problem, Stack, Study
from radiolucent.ingest.eligibility import refusals
from radiolucent.ingest.flagging import flags
from radiolucent.pipeline import anatomy
from radiolucent.pipeline.quality_gate import gated

SOFTWARE = f"radiolucent {__version__}"
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a caller may choose for one read.

    Parameters
    ----------
    phantom_findings : also report findings whose engine knows them from synthetic images only.
    operating_points : the site's own thresholds; None takes each engine's.
    profile : what the site may use each finding for; None allows everything that the packaged profile does.
    tables : rule tables for urgency, confidence and change; None takes the packaged ones.
    use_case : whose policy decides which maps are shown (`explain.gate`); empty takes the table's default.
    gate : the site's own policies; None takes the packaged ones.
    methods : further ways of explaining each located finding, to see how far they agree with its map; they cost time.
    """

    phantom_findings: bool = False
    operating_points: OperatingPoints | None = None
    profile: Profile | None = None
    tables: Tables | None = None
    use_case: str = ""
    gate: GateTable | None = None
    methods: tuple[str, ...] = ()

    def thresholds(self, bundle: Bundle) -> dict[str, float]:
        """The site's thresholds for this engine, empty where the engine's own hold.

        Raises
        ------
        StaleOperatingPoints
            If the site set some for another version of the engine.
        """
        return self.operating_points.thresholds(engine_ref(bundle)) if self.operating_points else {}


def engine_ref(bundle: Bundle) -> EngineRef:
    """Name, version and digest of a bundle, as a reading keeps them."""
    return EngineRef(name=bundle.manifest.name, version=bundle.manifest.version, digest=bundle.digest)


def read_study(
    study: Study,
    engines: Sequence[Engine],
    *,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Reading:
    """Read every series of a study with every engine that may read it.

    A refusal, a broken object or a failed engine is part of the result: it is never left out and never "normal".

    Parameters
    ----------
    study : from `imaging.loading.load`.
    engines : from `engines.runtime.load_engine`.
    progress : called with (series description, series done, series in all).
    """
    options = options or Options()
    read: list[SeriesReading] = []
    unread: list[UnreadSeries] = []
    failed: list[Problem] = []
    for index, stack in enumerate(study.stacks):
        if progress:
            progress(series_name(stack), index, len(study.stacks))
        refused: list[Refusal] = []
        was_read = False
        known = _facts(stack, engines)
        for engine in engines:
            try:
                reasons = refusals(stack, engine.bundle.manifest, known)
                odd = () if reasons else flags(stack, engine.bundle.manifest, known)
                reasons += tuple(flag for flag in odd if flag.code in engine.bundle.manifest.scope.refuse)
                refused.extend(reasons)
                if not reasons:
                    made = read_stack(stack, engine, options=options, body_part=known.body_part if known else "")
                    read.append(replace(made, notes=(*made.notes, *(f"{one.reason} [{one.code}]" for one in odd))))
                    was_read = True
            except SenderError as error:
                refused.append(Refusal(code="unreadable-pixels", reason=str(error)))
                break
            except NotItsSite as error:
                refused.append(Refusal(code=anatomy.CODE, reason=str(error), engine=engine.bundle.manifest.label))
            except EngineError as error:
                refused.append(Refusal(code="engine-failed", reason=str(error), engine=engine.bundle.manifest.label))
        if was_read:
            failed += [_failure(stack, refusal) for refusal in refused if refusal.code == "engine-failed"]
        else:
            unread.append(_unread(stack, refused, engines))
    if progress:
        progress("", len(study.stacks), len(study.stacks))
    return Reading(
        study_instance_uid=study.study_instance_uid,
        series=tuple(read),
        unread=tuple(unread),
        problems=(*study.problems, *failed),
        software=SOFTWARE,
    )


def _facts(stack: Stack, engines: Sequence[Engine]) -> StackFacts | None:
    """What the eligibility rules ask of the stack, found once; None where no engine wants it or it can't be decoded."""
    if not any(stack.modality in engine.bundle.manifest.scope.modalities for engine in engines):
        return None
    try:
        return facts(stack)
    except SenderError:
        return None  # the rules say so again, for each engine


def read_stack(stack: Stack, engine: Engine, *, options: Options, body_part: str = "") -> SeriesReading:
    """Read one stack with one engine that may read it.

    Parameters
    ----------
    body_part : what the header says that the stack shows (`imaging.quality.StackFacts`); empty where it doesn't say.

    Raises
    ------
    NotItsSite
        If the engine takes the stack for a part of the body that it doesn't read.
    UnreadablePixels
        If a frame can't be decoded.
    EngineError
        If the engine fails or returns something that isn't a finite number.
    """
    bundle, clock = engine.bundle, _Clock()
    thresholds = options.thresholds(bundle)
    pixels = stack.pixels
    clock.lap("decode")
    batch, record = prepare(pixels, stack.spacing_mm, bundle.manifest.input)
    clock.lap("prepare")
    output = engine.run(batch)
    clock.lap("engine")
    anatomy.check_site(output.sites, bundle.manifest)
    doubt = anatomy.doubt(output.sites, bundle.manifest, body_part)
    completeness = check(output.logits, output.evidence, bundle.manifest)
    findings = tuple(
        _finding(
            entry,
            index,
            output,
            bundle=bundle,
            record=record,
            stack=stack,
            completeness=completeness,
            operating_point=thresholds.get(entry.name, bundle.operating_point(entry.name)),
        )
        for index, entry in enumerate(bundle.manifest.findings)
        if entry.basis == "real" or options.phantom_findings
    )
    clock.lap("locate")
    findings = tuple(_with_stability(finding, batch, engine) for finding in findings)
    clock.lap("stability")
    findings = gated(
        findings,
        pixels,
        batch,
        engine,
        completeness=completeness,
        use_case=options.use_case,
        table=options.gate,
        methods=options.methods,
    )
    clock.lap("gate")
    return SeriesReading(
        series_instance_uid=stack.series_instance_uid,
        modality=stack.modality,
        kind=stack.kind,
        description=series_name(stack),
        frames=stack.frames,
        shape=(pixels.shape[1], pixels.shape[2]),
        slice_spacing_mm=stack.slice_spacing_mm,
        engine=engine_ref(bundle),
        record=record,
        findings=findings,
        completeness=completeness,
        milliseconds=clock.laps,
        notes=(*stack.notes, *([doubt] if doubt else [])),
        part=stack.part,
    )


def _finding(
    entry: FindingEntry,
    index: int,
    output: EngineOutput,
    *,
    bundle: Bundle,
    record: PixelRecord,
    stack: Stack,
    completeness: Completeness,
    operating_point: float,
) -> Finding:
    frame_logits = output.logits[:, index]
    logit = study_logit(frame_logits, bundle.manifest, stack.slice_spacing_mm)
    probability = bundle.probability(entry.name, logit)
    score = float(1 / (1 + np.exp(-logit)))
    positive = (score if probability is None else probability) >= operating_point
    heatmap = Heatmap(
        evidence=np.ascontiguousarray(output.evidence[:, index]), record=record, display_scale=entry.display_scale
    )
    finding = Finding(
        name=entry.name,
        basis=entry.basis,
        logit=logit,
        score=score,
        probability=probability,
        operating_point=operating_point,
        positive=positive,
        frame_logits=tuple(float(value) for value in frame_logits),
        heatmap=heatmap,
        interval=bundle.probability_interval(entry.name, logit),
    )
    return replace(finding, localisation=_localisation(finding, stack, completeness)) if positive else finding


def _with_stability(finding: Finding, batch: NDArray[np.float32], engine: Engine) -> Finding:
    """A located finding with its stability on the peak frame: four more images through the network."""
    where, manifest = finding.localisation, engine.bundle.manifest
    if where is None or where.status != "located" or where.peak_frame is None:
        return finding
    if manifest.input.depth is not None:
        return finding  # a network of whole volumes doesn't read four pictures of one slice

    def run(images: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        output = engine.run(images)
        return output.logits, output.evidence

    index = manifest.finding_names.index(finding.name)
    return replace(finding, stability=stability(run, batch[where.peak_frame], index, grid=manifest.head.grid))


def _localisation(finding: Finding, stack: Stack, completeness: Completeness) -> Localisation:
    if not completeness.holds:
        return Localisation(
            status="failed",
            reason=f"the map doesn't add up to the score (off by {completeness.largest_difference:.2g} logits)",
        )
    return localise(
        finding.heatmap,
        stack.frames,
        slice_spacing_mm=stack.slice_spacing_mm,
        resolution="full" if finding_type(finding.name).critical else "grid",
        midline_mm=midline_mm(stack),
        image_left=image_left(stack),
    )


def study_logit(frame_logits: NDArray[np.float32], manifest: Manifest, slice_spacing_mm: float | None) -> float:
    """One logit for a series from the logits of its frames, recomputable from what is stored.

    ``image`` and ``largest-slice``: the largest of all frames. ``largest-slab``: the largest mean over neighbouring
    slices that together are about `slab_mm` thick, three of them at least, so that one odd slice among many doesn't
    make a finding; a series with fewer slices is averaged whole, and frames without known distance go by the largest.
    ``volume``: the mean, which is what a network of whole volumes said (`engines.volumes`).

    Parameters
    ----------
    frame_logits : float32 ``(frames,)``
    slice_spacing_mm : None for anything but a volume.
    """
    if manifest.study_rule == "volume":
        return float(frame_logits.astype(np.float64).mean())
    if manifest.slab_mm is None or slice_spacing_mm is None:
        return float(frame_logits.max())
    size = min(max(3, round(manifest.slab_mm / slice_spacing_mm)), len(frame_logits))
    return float(np.convolve(frame_logits.astype(np.float64), np.full(size, 1 / size), mode="valid").max())


def series_name(stack: Stack) -> str:
    """The series' own description, or its modality: never a patient's name."""
    text = str(stack.header.get("SeriesDescription", "") or "").strip()
    return text or f"{stack.modality or 'unknown'} series"


def _unread(stack: Stack, refused: Sequence[Refusal], engines: Sequence[Engine]) -> UnreadSeries:
    if not engines:
        refused = [Refusal(code="no-engine", reason="no engine is installed: see 'radiolucent engine list'")]
    return UnreadSeries(
        series_instance_uid=stack.series_instance_uid,
        modality=stack.modality,
        description=series_name(stack),
        frames=len(stack.frames),
        refusals=tuple(refused),
    )


def _failure(stack: Stack, refusal: Refusal) -> Problem:
    """An engine that failed on a series that another one read: its findings are missing, so it must be said."""
    return Problem(
        code=refusal.code,
        reason=f"{series_name(stack)}: {refusal.engine} failed on this series: {refusal.reason}",
        study_instance_uid=stack.study_instance_uid,
        series_instance_uid=stack.series_instance_uid,
    )


class _Clock:
    """Milliseconds between one lap and the next."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = round((now - self._last) * 1000, 2)
        self._last = now
