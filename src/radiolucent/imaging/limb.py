"""Where limb and bone are on a bone film: what isn't air, and what in it is denser than its surroundings.

A classical method without a network. Air and the black borders of a collimated film are dark and hang together with the
picture's edge; what is left is the limb (or trunk). Bone is what is brighter than the limb around it, or than most of
the limb, with a margin for its faint edges, because fractures lie there. On thick parts the two differ little, so the
mask is generous: it can say that evidence lies away from bone, and not where bone ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.imaging.geometry import resample, resize_matrix

Mask = NDArray[np.bool_]
Picture = NDArray[np.float32]

SIZE = 256
LEAST_CONFIDENCE = 0.5
_MARGIN = 0.02
_AIR, _THIN = 0.12, 0.03
_LEAST_CONTRAST = (0.03, 0.1)


@dataclass(frozen=True, kw_only=True, eq=False)
class LimbFields:
    """Limb and bone on one film.

    Parameters
    ----------
    limb, bone : bool ``(rows, columns)``, of the film's own shape; bone lies within the limb.
    confidence : in [0, 1]: how clearly bone stands out from the rest of the limb.
    """

    limb: Mask
    bone: Mask
    confidence: float

    @property
    def found(self) -> bool:
        """Sure enough to conclude from it."""
        return self.confidence >= LEAST_CONFIDENCE


def limb_fields(frame: Picture) -> LimbFields:
    """Find limb and bone.

    Parameters
    ----------
    frame : float32 ``(rows, columns)``, larger is brighter (bone white).

    Returns
    -------
    LimbFields
        The whole film as limb where no air is seen; confidence 0 where nothing stands out.
    """
    rows, columns = frame.shape
    scale = min(1.0, SIZE / max(rows, columns))
    shape = (max(8, round(rows * scale)), max(8, round(columns * scale)))
    step = max(1, round(1 / scale / 2))
    coarse = ndimage.uniform_filter(frame, step)[::step, ::step] if step > 1 else frame
    small = resample(coarse, resize_matrix(shape, coarse.shape), shape, mode="nearest")
    low, high = np.percentile(small, [1, 99])
    if not high > low:
        return LimbFields(limb=np.ones(frame.shape, dtype=np.bool_), bone=np.zeros(frame.shape, bool), confidence=0.0)
    limb, bone, confidence = _found(np.clip((small - low) / (high - low), 0, 1).astype(np.float32))

    def back(mask: Mask) -> Mask:
        matrix = resize_matrix(frame.shape, shape)
        return np.asarray(resample(mask.astype(np.float32), matrix, frame.shape, mode="nearest") > 0.5)

    return LimbFields(limb=back(limb), bone=back(bone), confidence=confidence)


def _thick(limb: Mask, reach: int) -> Mask:
    """The limb without its thin parts: fingers and toes are bone almost from edge to edge."""
    core = ndimage.distance_transform_edt(limb) > reach
    return np.asarray(ndimage.distance_transform_edt(~core) <= reach + 1)


def _found(picture: Picture) -> tuple[Mask, Mask, float]:
    size = max(picture.shape)
    smooth = ndimage.gaussian_filter(picture, 0.006 * size)
    labels, _ = ndimage.label(smooth < _AIR)
    rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    air = np.isin(labels, np.unique(rim[rim > 0]))
    limb = ndimage.binary_opening(~air, iterations=2)
    if limb.mean() < 0.02:
        return np.ones_like(limb), np.zeros_like(limb), 0.0
    inside = limb.astype(np.float32)
    reach = 0.09 * size
    around = ndimage.gaussian_filter(smooth * inside, reach) / np.maximum(ndimage.gaussian_filter(inside, reach), 1e-3)
    values = smooth[limb]
    dense = limb & ((smooth > around + 0.02) | (smooth > np.percentile(values, 75)))
    dense = ndimage.binary_opening(dense, iterations=1) | (limb & ~_thick(limb, round(_THIN * size)))
    if not dense.any() or not (limb & ~dense).any():
        return limb, np.zeros_like(limb), 0.0
    contrast = float(smooth[dense].mean() - smooth[limb & ~dense].mean())
    bone = ndimage.binary_dilation(dense, iterations=max(1, round(_MARGIN * size))) & limb
    low, high = _LEAST_CONTRAST
    return limb, bone, float(np.clip((contrast - low) / (high - low), 0, 1))
