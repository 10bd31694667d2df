"""Methods that only ask the network: occlusion, RISE, LIME and SHAP, all findings from the same samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.errors import MissingExtra
from radiolucent.explain.methods.perturb import Hidden

Maps = NDArray[np.float32]
_RISE_CELLS = 8
_RISE_SHOWN = 0.5
_LIME_WIDTH = 0.25  # of the kernel, in cosine distance: the package's own for images


def occlusion(hidden: Hidden, *, cells: int) -> Maps:
    """Logits lost when one patch after the other is blurred away.

    Returns
    -------
    float32 ``(K, cells, cells)``

    Source
    ------
    Zeiler 2013, arXiv:1311.2901; blurred, not grey: a grey patch is itself a sign.
    """
    masks = np.eye(cells * cells).reshape(-1, cells, cells)
    whole = hidden(np.zeros((1, cells, cells)))
    lost = whole - hidden(masks)
    return lost.T.reshape(-1, cells, cells).astype(np.float32)


def rise(hidden: Hidden, *, cells: int, samples: int, seed: int) -> Maps:
    """Mean logit over random views, weighed by how much of each cell they show, less the mean of all views.

    Returns
    -------
    float32 ``(K, cells, cells)``

    Source
    ------
    Petsiuk 2018, arXiv:1806.07421, with its mean taken off: a cell that makes no difference is 0.
    """
    random = np.random.default_rng(seed)
    coarse = (random.random((samples, _RISE_CELLS + 1, _RISE_CELLS + 1)) < _RISE_SHOWN).astype(np.float64)
    offsets = random.random((samples, 2))
    steps = (np.arange(cells) + 0.5) / cells * _RISE_CELLS - 0.5
    masks = np.empty((samples, cells, cells))
    for index, (part, (down, right)) in enumerate(zip(coarse, offsets, strict=True)):
        places = np.meshgrid(steps + down, steps + right, indexing="ij")
        masks[index] = ndimage.map_coordinates(part, places, order=1, mode="nearest")
    logits = hidden(1 - masks, smooth=True)
    shown = np.einsum("nk,nhw->khw", logits, masks) / np.maximum(masks.sum(axis=0), 1e-9)
    return np.asarray(shown - logits.mean(axis=0)[:, None, None], dtype=np.float32)


def lime(hidden: Hidden, *, cells: int, samples: int, seed: int) -> Maps:
    """Weights of a local linear model of the logit in "this patch is shown", by the package ``lime``.

    The seed goes to samples and fit alike. Patches are a regular grid: no segmentation that could differ.

    Returns
    -------
    float32 ``(K, cells, cells)``

    Raises
    ------
    MissingExtra
        If ``lime`` isn't installed.

    Source
    ------
    Ribeiro 2016, arXiv:1602.04938.
    """
    try:
        from lime.lime_base import LimeBase
        from sklearn.linear_model import Ridge
        from sklearn.metrics import pairwise_distances
    except ModuleNotFoundError as error:
        raise MissingExtra("LIME", extra="explain") from error
    random = np.random.default_rng(seed)
    shown = random.integers(0, 2, size=(samples, cells * cells)).astype(np.float64)
    shown[0] = 1  # LIME's model is around the image itself, which comes first
    logits = hidden(1 - shown.reshape(-1, cells, cells))
    distances = pairwise_distances(shown, shown[:1], metric="cosine").ravel()
    base = LimeBase(lambda far: np.sqrt(np.exp(-(far**2) / _LIME_WIDTH**2)), random_state=seed)
    maps = np.zeros((logits.shape[1], cells * cells), dtype=np.float32)
    for index in range(logits.shape[1]):
        # every patch is kept: choosing the strongest ones would need a model for each
        model = Ridge(alpha=1, fit_intercept=True, random_state=seed)
        _, weights, _, _ = base.explain_instance_with_data(
            shown, logits, distances, index, cells * cells, model_regressor=model, feature_selection="none"
        )
        for patch, weight in weights:
            maps[index, patch] = weight
    return maps.reshape(-1, cells, cells)


def shap(hidden: Hidden, *, cells: int, samples: int, seed: int) -> Maps:
    """Owen values of the cells, by the package ``shap`` (Partition: the picture is halved again and again).

    They add up to the logit of the image less that of its blur.

    Returns
    -------
    float32 ``(K, cells, cells)``

    Raises
    ------
    MissingExtra
        If ``shap`` isn't installed.

    Source
    ------
    Lundberg 2017, arXiv:1705.07874; Owen 1977, doi:10.1007/978-3-642-45494-3_7.
    """
    try:
        from shap import PartitionExplainer
        from shap.maskers import Image as ImageMasker
    except ModuleNotFoundError as error:
        raise MissingExtra("SHAP", extra="explain") from error

    def logits(pictures: NDArray[np.floating]) -> NDArray[np.float64]:
        return hidden(np.asarray(pictures, dtype=np.float64)[..., 0])

    masker = ImageMasker(np.ones((cells, cells, 1)), (cells, cells, 1))
    explainer = PartitionExplainer(logits, masker, seed=seed)
    found = explainer(np.zeros((1, cells, cells, 1)), max_evals=samples, batch_size=64, silent=True)
    return np.moveaxis(np.asarray(found.values)[0, :, :, 0], -1, 0).astype(np.float32)
