"""The same object in another transfer syntax is the same; another value or another pixel makes another object."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from radiolucent.ingest.receiving import data_set_digest
from radiolucent.ingest.sameness import same_object
from radiolucent.phantom.studies import make_study


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("same")
    make_study("head-ct", seed=5, slices=1, rows=64).save(folder)
    [path] = folder.rglob("*.dcm")
    dataset = dcmread(path)
    block = dataset.private_block(0x0019, "RADIOLUCENT TEST", create=True)
    block.add_new(0x01, "LO", "odd")
    dataset.save_as(path, enforce_file_format=True)
    return path


def other(original: Path, folder: Path, change: Callable[[Dataset], None]) -> Path:
    dataset = dcmread(original)
    change(dataset)
    dataset.save_as(folder / "other.dcm", enforce_file_format=True)
    return folder / "other.dcm"


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless],
    ids=lambda syntax: syntax.name,
)
def test_the_same_object_in_another_transfer_syntax_is_the_same(original: Path, tmp_path: Path, syntax: UID) -> None:
    def encode(dataset: Dataset) -> None:
        if syntax in (ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian):
            dataset.file_meta.TransferSyntaxUID = syntax
        else:
            dataset.compress(syntax, generate_instance_uid=False)

    path = other(original, tmp_path, encode)
    assert dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID == syntax
    assert data_set_digest(path) != data_set_digest(original)
    assert same_object(original, path)
    assert same_object(path, original)


def brighter(dataset: Dataset) -> None:
    pixels = dataset.pixel_array.copy()
    pixels[3, 4] += 1
    dataset.set_pixel_data(pixels, dataset.PhotometricInterpretation, dataset.BitsStored, generate_instance_uid=False)


def renamed(dataset: Dataset) -> None:
    dataset.PatientName = "Other^Name"


def without(dataset: Dataset) -> None:
    del dataset.SeriesDescription


def deeper(dataset: Dataset) -> None:
    item = Dataset()
    item.CodeValue = "1"
    dataset.ProcedureCodeSequence = [item]


def inverted(dataset: Dataset) -> None:
    dataset.PhotometricInterpretation = "MONOCHROME1"


def private(dataset: Dataset) -> None:
    dataset.private_block(0x0019, "RADIOLUCENT TEST")[0x01].value = "other"


def without_pixels(dataset: Dataset) -> None:
    del dataset.PixelData


@pytest.mark.parametrize("change", [brighter, renamed, without, deeper, inverted, private, without_pixels])
def test_any_other_value_makes_another_object(
    original: Path, tmp_path: Path, change: Callable[[Dataset], None]
) -> None:
    def both(dataset: Dataset) -> None:
        change(dataset)
        if "PixelData" in dataset:
            dataset.compress(RLELossless, generate_instance_uid=False)

    path = other(original, tmp_path, both)
    assert not same_object(original, path)
    assert not same_object(path, original)


def test_a_compression_that_lost_something_is_not_the_same(original: Path, tmp_path: Path) -> None:
    def coarser(dataset: Dataset) -> None:
        pixels = (dataset.pixel_array // 8 * 8).astype(dataset.pixel_array.dtype)
        assert not np.array_equal(pixels, dataset.pixel_array)
        dataset.PixelData = pixels.tobytes()
        dataset.compress(JPEGLSLossless, generate_instance_uid=False)

    assert not same_object(original, other(original, tmp_path, coarser))


def test_what_cannot_be_decoded_is_not_known_to_be_the_same(original: Path, tmp_path: Path) -> None:
    data = bytearray(other(original, tmp_path, lambda one: one.compress(RLELossless)).read_bytes())
    del data[-500:]
    (tmp_path / "cut.dcm").write_bytes(data)
    assert not same_object(original, tmp_path / "cut.dcm")
    (tmp_path / "none.dcm").write_bytes(b"")
    assert not same_object(original, tmp_path / "none.dcm")
    assert not same_object(tmp_path / "away.dcm", original)


def test_objects_without_pixels_are_compared_too(original: Path, tmp_path: Path) -> None:
    one = other(original, tmp_path, without_pixels).rename(tmp_path / "one.dcm")

    def bare(dataset: Dataset) -> None:
        without_pixels(dataset)
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian

    assert dcmread(one).file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert same_object(one, other(original, tmp_path, bare))
