"""How one finding of one study is explained by a named method: the same call for command line, web and report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from radiolucent.engines.preprocess import prepare
from radiolucent.engines.runtime import Engine
from radiolucent.errors import SetupError
from radiolucent.explain.cache import ExplanationCache
from radiolucent.explain.explanation import Explanation, find_method
from radiolucent.explain.methods import Budget, attribute, input_digest
from radiolucent.imaging.geometry import Image, PixelRecord
from radiolucent.imaging.study import Stack, Study
from radiolucent.ingest.eligibility import refusals


def explain(
    engine: Engine,
    study: Study | Stack,
    finding: str,
    method: str = "grad-cam",
    *,
    seed: int = 0,
    frame: int | None = None,
    budget: Budget | None = None,
    cache: Path | None = None,
) -> Explanation:
    """Explain one finding on one frame.

    Parameters
    ----------
    study : its first stack that the engine may read is taken; or the stack itself.
    finding : name; need not be above its threshold.
    method : name in `explain.explanation.METHODS`.
    seed : of everything random.
    frame : index; None takes the frame with the largest logit of the finding.
    budget : passes, time limit, progress, cancel.
    cache : folder of maps made before; None keeps none.

    Raises
    ------
    SetupError
        If the engine may not read the study, or it has no such finding, frame or method.
    UnreadablePixels
        If the frame can't be decoded.
    MissingExtra, InvalidBundle, ExplanationStopped
        As `explain.methods.attribute`.
    """
    wanted, budget = find_method(method), budget or Budget()
    stack = study if isinstance(study, Stack) else stack_for(engine, study)
    image, record, index = _image(engine, stack, finding, frame)
    passes = wanted.passes if budget.passes is None or wanted.key == "occlusion" else budget.passes
    kept = ExplanationCache(cache) if cache is not None else None
    if kept is not None:
        found = kept.get(input_digest(engine, image, wanted, passes=passes, seed=seed, finding=finding))
        if found is not None:
            return _placed(found, record, index)
    explanations = attribute(engine, image, record, finding, method, seed=seed, frame=index, budget=budget)
    if kept is not None:
        kept.put(explanations)
    return explanations[0]


def explain_by(
    engine: Engine,
    study: Study | Stack,
    finding: str,
    methods: Sequence[str],
    *,
    seed: int = 0,
    cache: Path | None = None,
) -> tuple[Explanation, ...]:
    """The same frame by several methods, to see how far they agree (`explain.agreement`)."""
    first = explain(engine, study, finding, methods[0], seed=seed, cache=cache)
    others = [explain(engine, study, finding, m, seed=seed, frame=first.frame, cache=cache) for m in methods[1:]]
    return (first, *others)


def stack_for(engine: Engine, study: Study) -> Stack:
    """The first stack of the study that the engine may read.

    Raises
    ------
    SetupError
        If there is none, with the reasons.
    """
    reasons = []
    for stack in study.stacks:
        refused = refusals(stack, engine.bundle.manifest)
        if not refused:
            return stack
        reasons += [refusal.reason for refusal in refused]
    raise SetupError(f"{engine.bundle.label} may read no series of this study: {'; '.join(reasons) or 'it has none'}")


def _image(engine: Engine, stack: Stack, finding: str, frame: int | None) -> tuple[Image, PixelRecord, int]:
    """The network's input of one frame, prepared with all frames of its stack as a reading does."""
    names = engine.bundle.manifest.finding_names
    if finding not in names:
        raise SetupError(f"{engine.bundle.label} has no finding {finding!r}; it has {', '.join(names)}")
    if frame is not None and not 0 <= frame < len(stack.frames):
        raise SetupError(f"the series has {len(stack.frames)} frames; frame {frame} (from 0) isn't one of them")
    batch, record = prepare(stack.pixels, stack.spacing_mm, engine.bundle.manifest.input)
    if frame is None:
        frame = int(np.argmax(engine.run(batch).logits[:, names.index(finding)])) if len(batch) > 1 else 0
    return batch[frame], record, frame


def _placed(found: Explanation, record: PixelRecord, frame: int) -> Explanation:
    """A kept map on this study's frame: the same network input may come from another file."""
    return replace(found, record=record, frame=frame)
