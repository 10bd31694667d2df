"""The gate inside a reading: what is shown, what is held back and why, and what that costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from radiolucent.errors import SetupError
from radiolucent.explain.gate import default_gate
from radiolucent.explain.localize import localise
from radiolucent.findings.reading import Finding, SeriesReading
from radiolucent.imaging.loading import load
from radiolucent.phantom.studies import make_study
from radiolucent.pipeline.quality_gate import gated
from radiolucent.pipeline.read_study import Options, read_stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("phantom")
    make_study("brain-mr", ["glioma"], seed=2, slices=10).save(folder)
    return load(folder).studies[0].stacks[0]


def glioma(series: SeriesReading) -> Finding:
    return next(finding for finding in series.findings if finding.name == "glioma")


def test_a_located_finding_carries_its_verdict_and_its_measures(stack: Any, bright_spots: Callable[..., Any]) -> None:
    found = glioma(read_stack(stack, bright_spots(), options=Options())).explanation
    assert found is not None
    assert found.use_case == "second-reader"
    by_name = {check.name: check for check in found.checks}
    assert by_name["completeness"].value == 1
    assert (by_name["in-body"].value or 0) > 0.5
    assert by_name["in-prior"].value is None  # this engine has no prior
    assert by_name["deletion-drop"].value is not None


def test_a_finding_below_its_threshold_has_none(stack: Any, bright_spots: Callable[..., Any]) -> None:
    series = read_stack(stack, bright_spots(), options=Options())
    assert [one.explanation for one in series.findings if not one.positive] == [None]


def test_a_map_that_does_not_add_up_is_not_shown(stack: Any, bright_spots: Callable[..., Any]) -> None:
    found = glioma(read_stack(stack, bright_spots(lie=0.5), options=Options()))
    assert found.explanation is not None
    assert found.explanation.decision == "do-not-show"
    assert "doesn't add up" in found.explanation.reasons[0]


@pytest.mark.parametrize(("use_case", "decision"), [("triage", "show-with-warning"), ("second-reader", "do-not-show")])
def test_an_empty_map_of_a_positive_finding_stays_empty_and_is_judged(
    stack: Any, bright_spots: Callable[..., Any], use_case: str, decision: str
) -> None:
    engine = bright_spots()
    series = read_stack(stack, engine, options=Options())
    found = glioma(series)
    faint = replace(found.heatmap, evidence=np.full_like(found.heatmap.evidence, 0.01))
    where = localise(faint, stack.frames, slice_spacing_mm=None)
    batch = np.zeros((len(stack.frames), 1, 192, 192), dtype=np.float32)
    empty = [replace(found, heatmap=faint, localisation=where)]
    (one,) = gated(empty, stack.pixels, batch, engine, completeness=series.completeness, use_case=use_case)
    assert one.explanation is not None
    assert (one.explanation.decision, one.explanation.reasons) == (decision, ("no focus: the score has no place",))
    assert one.localisation is not None
    assert one.localisation.status == "empty"


class Elsewhere:
    """An engine whose map lies in the corner, whatever it is shown, while its score stays the same."""

    def __init__(self, inner: Any) -> None:
        self.bundle, self.inner, self.images = inner.bundle, inner, 0

    def run(self, batch: NDArray[np.float32]) -> Any:
        self.images += len(batch)
        output = self.inner.run(batch)
        evidence = np.full_like(output.evidence, -4.0)
        evidence[:, 0, :4, :4] = 6.0
        sharp = 2.0 * evidence.astype(np.float64).reshape(*evidence.shape[:2], -1)
        logits = (np.log(np.exp(sharp).mean(axis=2)) / 2.0).astype(np.float32)
        return replace(output, evidence=evidence, logits=logits)


def test_a_map_outside_the_body_is_held_back_and_the_finding_stays(
    stack: Any, bright_spots: Callable[..., Any]
) -> None:
    found = glioma(read_stack(stack, Elsewhere(bright_spots()), options=Options()))
    assert found.positive
    assert found.explanation is not None
    assert found.explanation.decision == "do-not-show"
    assert found.localisation is not None
    assert found.localisation.status == "failed"
    assert "0% of the evidence lies in the body" in found.localisation.reason


def test_the_gate_never_costs_more_than_the_reading_itself(stack: Any, bright_spots: Callable[..., Any]) -> None:
    engine = Elsewhere(bright_spots())
    series = read_stack(stack, engine, options=Options())
    batch = np.zeros((len(stack.frames), 1, 192, 192), dtype=np.float32)
    found = glioma(read_stack(stack, bright_spots(), options=Options()))
    located = [replace(found, localisation=localise(found.heatmap, stack.frames, slice_spacing_mm=None))]
    engine.images = 0
    gated(located, stack.pixels, batch, engine, completeness=series.completeness)
    assert engine.images == 9  # one blurred, eight changed; ten frames were read
    engine.images = 0
    few = [_at_first_frame(one) for one in located]
    gated(few, stack.pixels[:1], batch[:1], engine, completeness=series.completeness)
    assert engine.images == 1


def _at_first_frame(one: Finding) -> Finding:
    assert one.localisation is not None
    heatmap = replace(one.heatmap, evidence=one.heatmap.evidence[:1])
    return replace(
        one, heatmap=heatmap, localisation=replace(one.localisation, peak_frame=0), frame_logits=one.frame_logits[:1]
    )


def agreement_of(stack: Any, engine: Any, *methods: str) -> Any:
    found = glioma(read_stack(stack, engine, options=Options(methods=methods))).explanation
    assert found is not None
    return next(check for check in found.checks if check.name == "agreement")


def test_without_other_methods_agreement_is_not_measured_and_says_so(stack: Any, bright_spots: Any) -> None:
    check = agreement_of(stack, bright_spots())
    assert (check.value, check.result, check.words) == (None, "pass", "agreement was not measured")


def test_other_methods_are_asked_once_and_named_with_their_overlap(stack: Any, bright_spots: Any) -> None:
    check = agreement_of(stack, bright_spots(), "hires-cam", "hires-cam", "grad-cam")
    assert check.value is not None
    assert check.value > 0.5
    assert check.words.count("hires-cam overlap") == 1
    assert "rank correlation" in check.words


def test_a_method_that_can_not_explain_the_engine_is_named_and_the_reading_goes_on(
    stack: Any, bright_spots: Any
) -> None:
    pytest.importorskip("torch", reason="needs torch: pip install 'radiolucent[torch]'")
    check = agreement_of(stack, bright_spots(), "layer-cam")  # this engine has no PyTorch twin
    assert check.value is None
    assert check.words == "agreement was not measured: layer-cam can't explain this engine"


@pytest.mark.parametrize("use_case", ["triage", "second-reader", "diagnosis-support"])
def test_the_policy_of_the_use_case_that_was_asked_for_judges(stack: Any, bright_spots: Any, use_case: str) -> None:
    found = glioma(read_stack(stack, bright_spots(), options=Options(use_case=use_case))).explanation
    assert found is not None
    assert found.use_case == use_case
    limits = default_gate().use_cases[use_case].checks
    assert [check.result for check in found.checks] == [
        limits[check.name].result(check.value) for check in found.checks
    ]


def test_an_unknown_use_case_is_refused(stack: Any, bright_spots: Any) -> None:
    with pytest.raises(SetupError, match="there are triage, second-reader, diagnosis-support"):
        read_stack(stack, bright_spots(), options=Options(use_case="research"))
