import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from radiolucent.engines.manifest import (
    FindingEntry,
    HeadSpec,
    InputSpec,
    Manifest,
    ScopeSpec,
)
from radiolucent.engines.pooling import recompute
from radiolucent.explain.completeness import check

MEAN = HeadSpec(pooling="mean", grid=(3, 4))
LSE = HeadSpec(pooling="log-sum-exp", sharpness=5.0, grid=(3, 4))
maps = arrays(np.float32, (2, 3, 3, 4), elements=st.floats(-50, 50, width=32))


def manifest(head: HeadSpec, biases: list[float]) -> Manifest:
    return Manifest(
        name="made-up",
        version="1.0.0",
        title="t",
        summary="s",
        findings=[
            FindingEntry(name=f"f{index}", basis="phantom", display_scale=4.0, bias=bias)
            for index, bias in enumerate(biases)
        ],
        input=InputSpec(recipe="r", height=32, width=32),
        head=head,
        scope=ScopeSpec(modalities=["MR"], limits=[]),
        study_rule="image",
        licence="CC0",
    )


@pytest.mark.parametrize("head", [MEAN, LSE])
@given(evidence=maps)
def test_logits_made_from_the_map_pass_and_shifted_ones_do_not(head: HeadSpec, evidence: np.ndarray) -> None:
    biases = [0.1, -0.2, 0.3]
    logits = recompute(evidence, head, biases).astype(np.float32)
    assert check(logits, evidence, manifest(head, biases)).holds
    shifted = logits.copy()
    shifted[1, 2] += 0.01
    found = check(shifted, evidence, manifest(head, biases))
    assert not found.holds
    assert found.largest_difference == pytest.approx(0.01, abs=1e-3)
    assert found.pooling == head.pooling


def test_a_map_with_a_value_that_is_not_finite_never_passes() -> None:
    evidence = np.zeros((1, 1, 3, 4), dtype=np.float32)
    evidence[0, 0, 0, 0] = np.nan
    found = check(np.zeros((1, 1), dtype=np.float32), evidence, manifest(MEAN, [0.0]))
    assert found.largest_difference == float("inf")
    assert not found.holds


def test_outputs_of_different_batches_are_refused() -> None:
    with pytest.raises(ValueError, match="belong together"):
        check(np.zeros((2, 1), dtype=np.float32), np.zeros((1, 1, 3, 4), dtype=np.float32), manifest(MEAN, [0.0]))
