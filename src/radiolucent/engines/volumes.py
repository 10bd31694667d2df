"""Networks of whole volumes behind the contract of slices: slices in, a map and a logit for each slice out.

Slices and the network's own planes share one axis of length 1. What a target plane gets is the average of what lies
under it, so the mean over the slices is exactly the mean over the volume: completeness holds slice by slice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from radiolucent.engines.manifest import Manifest

Float32 = NDArray[np.float32]


def overlap(source: int, target: int) -> NDArray[np.float64]:
    """How much of each of `source` equal parts lies in each of `target` equal parts of the same length.

    Returns
    -------
    float64 ``(target, source)``; rows add up to 1, columns to ``target / source``.

    Examples
    --------
    >>> overlap(3, 2).round(2).tolist()
    [[0.67, 0.33, 0.0], [0.0, 0.33, 0.67]]
    """
    edges_in = np.arange(source + 1) / source
    edges_out = np.arange(target + 1) / target
    upper = np.minimum(edges_out[1:, None], edges_in[None, 1:])
    lower = np.maximum(edges_out[:-1, None], edges_in[None, :-1])
    return np.asarray(np.clip(upper - lower, 0, None) * target)


def to_volume(slices: Float32, depth: int) -> Float32:
    """Slices as one volume of `depth` planes.

    Parameters
    ----------
    slices : float32 ``(slices, C, H, W)``, in the order of space.

    Returns
    -------
    float32 ``(1, C, depth, H, W)``
    """
    planes = np.tensordot(overlap(len(slices), depth), slices, axes=1)  # (depth, C, H, W)
    return np.ascontiguousarray(planes.transpose(1, 0, 2, 3)[None], dtype=np.float32)


def to_slices(logits: Float32, evidence: Float32, slices: int, manifest: Manifest) -> tuple[Float32, Float32]:
    """Share a volume's logit and map out to its slices; the mean of the slices' logits is the volume's.

    A slice's logit is what its own part of the map explains (``mean(M) + b``), plus an equal share of whatever the
    whole map lacks, so that a map that doesn't add up is seen as such. A map of first order claims no sum: there
    every slice has the volume's logit.

    Parameters
    ----------
    logits : float32 ``(1, K)``
    evidence : float32 ``(1, K, d, h, w)``, logit units.
    slices : how many there were.
    manifest : gives pooling and biases.

    Returns
    -------
    logits : float32 ``(slices, K)``
    evidence : float32 ``(slices, K, h, w)``
    """
    maps = np.tensordot(overlap(evidence.shape[2], slices), evidence[0].astype(np.float64), axes=(1, 1))
    whole = logits[0].astype(np.float64)
    if manifest.head.pooling == "gradient":
        shared = np.repeat(whole[None], slices, axis=0)
    else:
        means = maps.mean(axis=(2, 3))
        shared = means + (whole - means.mean(axis=0))
    return shared.astype(np.float32), maps.astype(np.float32)
