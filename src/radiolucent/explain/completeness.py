"""Whether an explanation is whole: the logit again, this time from the stored map.

An engine whose map doesn't give the logit back has explained something else than its score. The check runs on every
reading and its figure is stored; whoever reads decides what to do, normally ``raise IncompleteEvidence``
(`radiolucent.errors`) where `Completeness.holds` is false, since graph and manifest then don't belong together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from radiolucent.engines.manifest import Manifest
from radiolucent.engines.pooling import recompute
from radiolucent.findings.reading import Completeness


def check(logits: NDArray[np.float32], evidence: NDArray[np.float32], manifest: Manifest) -> Completeness:
    """Compare the graph's logits with those that its maps add up to.

    Parameters
    ----------
    logits : float32 ``(N, K)``
    evidence : float32 ``(N, K, h, w)``
    manifest : gives pooling, biases and tolerance.

    Returns
    -------
    Completeness
        With the largest absolute difference over all images and classes; infinite where a value isn't finite, so that
        a broken map never passes. A map of first order (``gradient``) claims no sum: only that is checked, and the
        words shown to people must say so.

    Raises
    ------
    ValueError
        If the two outputs don't have the same N and K.
    """
    if logits.shape != evidence.shape[:2]:
        raise ValueError(f"logits {logits.shape} and evidence {evidence.shape} don't belong together")
    biases: Sequence[float] = [finding.bias for finding in manifest.findings]
    largest = float("inf")
    if np.isfinite(evidence).all() and np.isfinite(logits).all():
        largest = 0.0
        if manifest.head.pooling != "gradient":
            again = recompute(evidence, manifest.head, biases)
            largest = float(np.abs(again - logits).max(initial=0.0))
    return Completeness(pooling=manifest.head.pooling, largest_difference=largest, tolerance=manifest.head.tolerance)
