"""Images to check with come from an array or through the bundle's own recipe, a few of many, or are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

pytest.importorskip("torch")

from radiolucent.engines.manifest import InputSpec
from radiolucent.engines.preprocess import prepare
from radiolucent.errors import NothingToRead, SetupError
from radiolucent.explain.compiler.images import MOST, read_images
from radiolucent.imaging.loading import load
from radiolucent.phantom.studies import write_studies

FLAT = InputSpec(recipe="grey", height=32, width=32)
VOLUME = InputSpec(recipe="grey", height=32, width=32, depth=6)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic brain MR."""
    folder = tmp_path_factory.mktemp("study")
    write_studies("brain-mr", ["glioma"], 1, False, 1, folder, progress=lambda done, total: None)
    return folder


def test_an_array_is_taken_as_it_is_and_of_many_images_a_few(tmp_path: Path) -> None:
    array = np.random.default_rng(0).random((20, 1, 4, 4), dtype=np.float32)
    np.save(tmp_path / "images.npy", array)
    images = read_images(tmp_path / "images.npy", FLAT)
    assert len(images) == MOST
    np.testing.assert_array_equal(images[[0, -1]], array[[0, -1]])


def test_a_studys_slices_go_through_the_recipe(study: Path) -> None:
    stack = load(study).studies[0].stacks[0]
    wanted, _ = prepare(stack.pixels, stack.spacing_mm, FLAT)
    images = read_images(study, FLAT)
    assert images.shape == (MOST, 1, 32, 32)
    np.testing.assert_array_equal(images[0], wanted[0])


def test_a_series_is_one_volume_for_a_network_of_volumes(study: Path) -> None:
    assert read_images(study, VOLUME).shape == (1, 1, 6, 32, 32)


def test_what_holds_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images.npy").write_bytes(b"no array")
    with pytest.raises(SetupError, match=r"images\.npy can't be read as an array"):
        read_images(tmp_path / "images.npy", FLAT)
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(SetupError, match="can't be read as an array"):
        read_images(tmp_path / "objects.npy", FLAT)
    (tmp_path / "empty").mkdir()
    with pytest.raises(NothingToRead):
        read_images(tmp_path / "empty", FLAT)


def test_a_study_without_a_decodable_image_is_refused(study: Path, tmp_path: Path) -> None:
    data = pydicom.dcmread(next(study.rglob("*.dcm")))
    data.file_meta.TransferSyntaxUID = pydicom.uid.JPEGLSLossless
    data.PixelData = pydicom.encaps.encapsulate([b"no codestream at all"])
    data["PixelData"].VR = "OB"
    data.save_as(tmp_path / "garbage.dcm")
    with pytest.raises(SetupError, match="holds no image that can be decoded"):
        read_images(tmp_path / "garbage.dcm", FLAT)
