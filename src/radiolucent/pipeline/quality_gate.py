"""The quality gate of a reading: every positive finding's map is measured, judged, and held back where it failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from radiolucent.engines.runtime import Engine
from radiolucent.errors import EngineError, MissingExtra, SetupError
from radiolucent.explain.agreement import agreement_of
from radiolucent.explain.deletion import DIMMED, is_dimmed, taken_away
from radiolucent.explain.gate import EMPTY_CHECKS, CaseMeasures, GateTable, judge_case
from radiolucent.explain.methods import attribute
from radiolucent.explain.robustness import COPIES, eight_changes, stability_of_eight
from radiolucent.findings.confidence import default_confidence
from radiolucent.findings.priors import agreement
from radiolucent.findings.reading import Completeness, ExplanationVerdict, Finding, Localisation
from radiolucent.imaging.body import Box, body_box
from radiolucent.imaging.geometry import Image, resample, resize_matrix

ANYWHERE = np.ones((1, 1), dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class _Probe:
    """Logits lost where the coloured part is taken away, and similarity under eight changes (None: not measured)."""

    drop: float
    stability: float | None


@dataclass(frozen=True, kw_only=True)
class _Others:
    """How far the map agrees with those of other methods, and the words for it."""

    overlap: float | None = None
    words: str = ""


def gated(
    findings: Sequence[Finding],
    pixels: Image,
    batch: Image,
    engine: Engine,
    *,
    completeness: Completeness,
    use_case: str = "",
    table: GateTable | None = None,
    thorough: bool = False,
    methods: Sequence[str] = (),
) -> tuple[Finding, ...]:
    """The findings with their verdicts; a map that may not be shown becomes "no explanation", with the reasons.

    An empty map stays the result that it is ("no focus above threshold"); its verdict says what that is worth.

    One further image a located finding goes through the network: its peak frame with the coloured part taken
    away (`explain.deletion`). Where
    the series has at least nine frames a located finding, eight small changes of the peak frame go too; else stability
    is the one that was measured with three. So the gate costs at most as much as the reading itself.

    Parameters
    ----------
    pixels : float32 ``(frames, rows, columns)``.
    batch : float32 ``(frames, C, H, W)``, the network's input.
    thorough : make the eight changes whatever they cost.
    methods : further ones (`explain.explanation.METHODS`) that each located finding's peak frame is explained by; how
        far they agree is one more check. They cost what they cost.

    Raises
    ------
    SetupError
        If the table has no such use case, or there is no such method.
    MissingExtra
        If a method needs a package that isn't installed.
    """
    located = [one for one in findings if one.localisation is not None and one.localisation.status == "located"]
    probes = _probed(located, batch, engine, thorough=thorough)
    box = body_box(pixels) if located else (0, 0, 1, 1)
    out = []
    for one in findings:
        if one.localisation is None:
            out.append(one)
        elif id(one) in probes:
            others = _by_others(one, batch, engine, methods)
            measures = _measures(one, engine, box, completeness, probes[id(one)], others)
            out.append(_with_verdict(one, judge_case(measures, use_case=use_case, table=table)))
        else:
            out.append(replace(one, explanation=_without_map(one, completeness, use_case, table)))
    return tuple(out)


def _measures(
    one: Finding, engine: Engine, box: Box, completeness: Completeness, probe: _Probe, others: _Others
) -> CaseMeasures:
    prior = engine.bundle.priors.get(one.name)
    limits = default_confidence()
    found = agreement(
        one.heatmap, ANYWHERE if prior is None else prior, box, threshold=limits.agreement.prior_threshold
    )
    usual = limits.focality.expected.get(one.name, limits.focality.default)
    return CaseMeasures(
        completeness=_completeness(completeness),
        focus=1.0,
        in_body=found.in_body if found else None,
        in_prior=found.value if found and prior is not None else None,
        focality=float(one.localisation is not None and one.localisation.focality in usual),
        stability=one.stability if probe.stability is None else probe.stability,
        deletion_drop=probe.drop,
        agreement=others.overlap,
        notes=_words(one, others),
    )


def _words(one: Finding, others: _Others) -> dict[str, str]:
    """What follows the words of a check."""
    told = {"agreement": others.words, "deletion-drop": DIMMED if is_dimmed(one.name) else ""}
    return {check: words for check, words in told.items() if words}


def _by_others(one: Finding, batch: Image, engine: Engine, methods: Sequence[str]) -> _Others:
    """The peak frame's map beside those of other methods; a method that can't explain this engine is named."""
    asked = [name for name in dict.fromkeys(methods) if name != "grad-cam"]
    if not asked:
        return _Others()
    frame, record = _peak_frame(one), one.heatmap.record
    own = attribute(engine, batch[frame], record, one.name, frame=frame)[0]
    overlaps, words = [], []
    for name in asked:
        try:
            other = attribute(engine, batch[frame], record, one.name, name, frame=frame)[0]
        except MissingExtra:
            raise
        except (EngineError, SetupError):  # no twin, or no stated pool: said, and the reading goes on
            words.append(f"{name} can't explain this engine")
            continue
        (pair,) = agreement_of([own, other])
        overlaps.append(pair.overlap)
        rank = "flat" if np.isnan(pair.rank_correlation) else f"{pair.rank_correlation:.2f}"
        words.append(f"{name} overlap {pair.overlap:.0%}, rank correlation {rank}")
    return _Others(overlap=min(overlaps, default=None), words="; ".join(words))


def _completeness(found: Completeness) -> float:
    """1 where the map gives the score back; a map of first order claims no sum, and passes where it is finite."""
    return float(found.holds)


def _probed(located: Sequence[Finding], batch: Image, engine: Engine, *, thorough: bool) -> dict[int, _Probe]:
    """What the network says of changed peak frames; all findings in one run."""
    if not located:
        return {}
    names, grid = engine.bundle.manifest.finding_names, engine.bundle.manifest.head.grid
    eight = thorough or len(batch) >= (COPIES + 1) * len(located)
    frames = [_peak_frame(one) for one in located]
    images = [_deleted(batch[frame], one, frame)[None] for one, frame in zip(located, frames, strict=True)]
    changed = [eight_changes(batch[frame], grid=grid) for frame in frames] if eight else []
    output = engine.run(np.concatenate([*images, *(copies for copies, _ in changed)]))
    found = {}
    for row, (one, frame) in enumerate(zip(located, frames, strict=True)):
        index, similar = names.index(one.name), None
        if eight:
            first = len(located) + row * COPIES
            others = output.evidence[first : first + COPIES, index]
            similar = stability_of_eight(np.stack([one.heatmap.evidence[frame], *others]), changed[row][1])
        drop = float(one.frame_logits[frame] - output.logits[row, index])
        found[id(one)] = _Probe(drop=drop, stability=similar)
    return found


def _peak_frame(one: Finding) -> int:
    where = one.localisation
    return where.peak_frame if where is not None and where.peak_frame is not None else one.heatmap.peak_frame


def _deleted(image: Image, one: Finding, frame: int) -> Image:
    heatmap = one.heatmap
    coloured = (heatmap.evidence[frame] >= np.float32(heatmap.floor * heatmap.display_scale)).astype(np.float32)
    shape = (image.shape[1], image.shape[2])
    cover = resample(coloured, resize_matrix(shape, heatmap.grid), shape, mode="nearest", order=0) > 0.5
    return taken_away(image, cover, one.name)


def _with_verdict(one: Finding, verdict: ExplanationVerdict) -> Finding:
    if verdict.decision != "do-not-show":
        return replace(one, explanation=verdict)
    held_back = Localisation(status="failed", reason=f"held back by the quality gate: {'; '.join(verdict.reasons)}")
    return replace(one, explanation=verdict, localisation=held_back)


def _without_map(
    one: Finding, completeness: Completeness, use_case: str, table: GateTable | None
) -> ExplanationVerdict:
    """What is said of a map with nothing to look at: an empty one is judged, a failed one is not shown."""
    where = one.localisation
    failed = where is not None and where.status == "failed"
    measured = CaseMeasures(completeness=_completeness(completeness), focus=0.0)
    checks = ("completeness",) if failed else EMPTY_CHECKS
    verdict = judge_case(measured, use_case=use_case, table=table, checks=checks)
    if where is not None and failed:
        return replace(verdict, decision="do-not-show", reasons=(where.reason,))
    return verdict
