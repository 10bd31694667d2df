"""How a map's cells become a logit: the one place for it in numpy (`engines.network` says the same to PyTorch)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from radiolucent.engines.manifest import HeadSpec


def recompute(evidence: NDArray[np.float32], head: HeadSpec, biases: ArrayLike) -> NDArray[np.float64]:
    """Pool maps as the manifest's head says, in float64.

    Parameters
    ----------
    evidence : float32 ``(N, K, h, w)``, logit units, as the graph gave it.
    head : pooling and, for log-sum-exp, its sharpness.
    biases : ``(K,)``, added after pooling.

    Returns
    -------
    float64 ``(N, K)``
        ``mean(M) + b``, or ``log(mean(exp(r * M))) / r + b``.

    Raises
    ------
    ValueError
        If `evidence` isn't four-dimensional, `biases` doesn't hold one value per class, or the head's map is of first
        order (``gradient``): no pool of it is the logit.

    Warning
    -------
    Only mean pooling is additive: only there may a cell be called a *share* of the logit.

    Examples
    --------
    >>> head = HeadSpec(pooling="mean", grid=(1, 2))
    >>> recompute(np.array([[[[1.0, 3.0]]]], dtype=np.float32), head, [0.5])
    array([[2.5]])
    """
    added = np.asarray(biases, dtype=np.float64)
    if head.pooling == "gradient":
        raise ValueError("a map of first order doesn't give the logit back")
    if evidence.ndim != 4:
        raise ValueError(f"evidence must be (N, K, h, w), not {evidence.shape}")
    if added.shape != evidence.shape[1:2]:
        raise ValueError(f"{evidence.shape[1]} classes need as many biases, not {added.shape}")
    cells = evidence.astype(np.float64).reshape(*evidence.shape[:2], -1)
    if head.pooling == "mean":
        return np.asarray(cells.mean(axis=2) + added)
    sharpness = float(head.sharpness or 1.0)
    # the largest cell is taken out first, so that exp can't overflow
    largest = cells.max(axis=2, keepdims=True)
    spread = np.log(np.exp(sharpness * (cells - largest)).mean(axis=2)) / sharpness
    return np.asarray(largest[..., 0] + spread + added)
