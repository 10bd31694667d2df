"""Images that a network is checked with beside noise: an array, or studies through the bundle's own input recipe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from radiolucent.engines.manifest import InputSpec
from radiolucent.engines.preprocess import prepare
from radiolucent.engines.volumes import to_volume
from radiolucent.errors import SenderError, SetupError
from radiolucent.imaging.loading import load

MOST = 8  # images in a check


def read_images(path: Path, spec: InputSpec) -> NDArray[np.float32]:
    """Network inputs from a file or folder.

    Parameters
    ----------
    path : ``.npy`` with float32 ``(N, C, H, W)`` or ``(N, C, D, H, W)``, or DICOM as `imaging.loading.load` takes it.
    spec : the input that the network is given.

    Returns
    -------
    float32 ``(N, C, …)``, N at most `MOST`, evenly picked.

    Raises
    ------
    SetupError
        If the array can't be read, or no stack under the path can.
    UnreadableFile, UnsafeArchive, NothingToRead
        If the path itself can't be read at all.
    """
    if path.suffix == ".npy":
        try:
            array = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise SetupError(f"{path.name} can't be read as an array: {error}") from error
        return _some(np.asarray(array))
    batches = []
    for study in load(path).studies:
        for stack in study.stacks:
            try:
                batch, _ = prepare(stack.pixels, stack.spacing_mm, spec)
            except SenderError:
                continue  # one broken series among several: the others will do to check with
            batches.append(to_volume(batch, spec.depth) if spec.depth else batch)
    if not batches:
        raise SetupError(f"{path.name} holds no image that can be decoded; the check needs one at least")
    return _some(np.concatenate(batches))


def _some(images: NDArray[np.float32]) -> NDArray[np.float32]:
    if len(images) <= MOST:
        return images
    chosen: NDArray[np.float32] = images[np.linspace(0, len(images) - 1, MOST).round().astype(int)]
    return chosen
