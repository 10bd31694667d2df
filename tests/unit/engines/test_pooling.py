"""The pool of a map in numpy: exact, the same as scipy's and as PyTorch's, and refused where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import logsumexp

from radiolucent.engines.manifest import HeadSpec
from radiolucent.engines.pooling import recompute

MEAN = HeadSpec(pooling="mean", grid=(3, 4))
LSE = HeadSpec(pooling="log-sum-exp", sharpness=5.0, grid=(3, 4))
maps = arrays(np.float32, (2, 3, 3, 4), elements=st.floats(-50, 50, width=32))


@given(maps)
def test_mean_pooling_is_the_mean_of_the_cells_plus_the_bias(evidence: np.ndarray) -> None:
    expected = np.add(evidence.astype(np.float64).mean(axis=(2, 3)), [0.0, 1.0, -2.0])
    np.testing.assert_allclose(recompute(evidence, MEAN, [0.0, 1.0, -2.0]), expected, atol=1e-9)


@given(maps)
def test_log_sum_exp_pooling_agrees_with_scipy(evidence: np.ndarray) -> None:
    cells = evidence.astype(np.float64).reshape(2, 3, -1)
    expected = (logsumexp(5.0 * cells, axis=2) - np.log(12)) / 5.0 + 0.25
    np.testing.assert_allclose(recompute(evidence, LSE, [0.25] * 3), expected, atol=1e-9)


@given(maps)
def test_log_sum_exp_lies_between_the_mean_and_the_largest_cell(evidence: np.ndarray) -> None:
    pooled = recompute(evidence, LSE, [0.0] * 3)
    assert (pooled >= evidence.astype(np.float64).mean(axis=(2, 3)) - 1e-6).all()
    assert (pooled <= evidence.max(axis=(2, 3)) + 1e-6).all()


def test_very_large_evidence_does_not_overflow() -> None:
    evidence = np.full((1, 1, 3, 4), 1e4, dtype=np.float32)
    np.testing.assert_allclose(recompute(evidence, LSE, [0.0]), [[1e4]])


def test_evidence_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="must be"):
        recompute(np.zeros((3, 3, 4), dtype=np.float32), MEAN, [0.0])


def test_a_missing_bias_is_refused() -> None:
    with pytest.raises(ValueError, match="as many biases"):
        recompute(np.zeros((1, 2, 3, 4), dtype=np.float32), MEAN, [0.0])


def test_a_map_of_first_order_has_no_pool() -> None:
    with pytest.raises(ValueError, match="doesn't give the logit back"):
        recompute(np.zeros((1, 1, 3, 4), dtype=np.float32), HeadSpec(pooling="gradient", grid=(3, 4)), [0.0])


@pytest.mark.parametrize("head", [MEAN, LSE])
def test_pytorch_pools_the_same(head: HeadSpec) -> None:
    torch = pytest.importorskip("torch", reason="needs torch: pip install 'radiolucent[torch]'")
    from radiolucent.engines.network import pool_evidence

    evidence = np.random.default_rng(0).normal(0, 4, (2, 3, 3, 4)).astype(np.float32)
    theirs = pool_evidence(torch.from_numpy(evidence), head.pooling, head.sharpness).numpy()
    np.testing.assert_allclose(recompute(evidence, head, [0.0] * 3), theirs, atol=1e-5)
