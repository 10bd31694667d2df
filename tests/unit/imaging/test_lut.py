"""One test per rule of PS3.3 C.11.1 and C.11.2, and of the MONOCHROME1 turn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from radiolucent.imaging.lut import Voi, header_window, mirror, modality_values, read_lut


def header(**values: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in {"BitsAllocated": 16, "BitsStored": 12, "PixelRepresentation": 0, **values}.items():
        setattr(dataset, keyword, value)
    return dataset


def lut_item(first: int, entries: list[int], bits: int = 16) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item.LUTData = entries
    return item


def test_linear_follows_the_standards_formula_at_its_knees() -> None:
    # C.11.2.1.2.1, with c = 2048 and w = 4096: x <= 0 is black, x > 4095 is white
    voi = Voi(center=2048, width=4096)
    assert voi(np.array([-1.0, 0.0, 4095.0, 5000.0])).tolist() == [0.0, 0.0, 1.0, 1.0]
    assert voi(np.array([2047.5]))[0] == pytest.approx(0.5)


def test_linear_of_width_one_is_a_threshold() -> None:
    # C.11.2.1.2.1 note: c = 0.5 - 1/2
    assert Voi(center=100, width=1)(np.array([99.0, 99.5, 99.6, 100.0])).tolist() == [0.0, 0.0, 1.0, 1.0]


def test_linear_exact_is_centred_on_its_center() -> None:
    voi = Voi(center=10, width=4, function="LINEAR_EXACT")
    assert voi(np.array([8.0, 10.0, 12.0])).tolist() == [0.0, 0.5, 1.0]


def test_sigmoid_is_half_at_its_center_and_never_overflows() -> None:
    voi = Voi(center=10, width=4, function="SIGMOID")
    shares = voi(np.array([-1e9, 10.0, 14.0, 1e9]))
    assert shares[1] == pytest.approx(0.5)
    assert shares[2] == pytest.approx(1 / (1 + np.exp(-4)))
    assert (shares[0], shares[3]) == (pytest.approx(0, abs=1e-12), pytest.approx(1))


@pytest.mark.parametrize(
    ("center", "width", "usable"),
    [(40, 400, True), (0, 0, False), (40, -5, False), (40, 0.5, False), (40, 1e30, False), (1e30, 400, False)],
)
def test_an_impossible_window_counts_as_absent(center: float, width: float, usable: bool) -> None:
    found = header_window(header(WindowCenter=center, WindowWidth=width))
    assert usable == (found is not None)


def test_a_width_below_one_is_a_window_for_linear_exact() -> None:
    found = header_window(header(WindowCenter=0.5, WindowWidth=0.25, VOILUTFunction="LINEAR_EXACT"))
    assert found == Voi(center=0.5, width=0.25, function="LINEAR_EXACT")


def test_the_first_of_several_windows_is_used() -> None:
    assert header_window(header(WindowCenter=[450, 200], WindowWidth=[790, 443])) == Voi(center=450, width=790)


def test_rescale_gives_hounsfield_units() -> None:
    values = modality_values(
        header(RescaleSlope=2, RescaleIntercept=-1024), np.array([[0, 512, 1024]], dtype=np.uint16)
    )
    assert values.tolist() == [[-1024.0, 0.0, 1024.0]]
    assert values.dtype == np.float32


def test_a_modality_lut_takes_the_place_of_rescale_and_its_ends_go_on() -> None:
    dataset = header(RescaleSlope=2, RescaleIntercept=5, ModalityLUTSequence=[lut_item(10, [100, 200, 300])])
    assert modality_values(dataset, np.array([0, 10, 11, 12, 99])).tolist() == [100, 100, 200, 300, 300]


def test_a_lut_may_start_below_zero_for_signed_values() -> None:
    dataset = header(PixelRepresentation=1, ModalityLUTSequence=[lut_item(65535, [7, 8, 9])])
    assert modality_values(dataset, np.array([-1, 0, 1])).tolist() == [7, 8, 9]


def test_a_lut_in_bytes_is_read_as_16_bit_words() -> None:
    item = Dataset()
    item.LUTDescriptor = [3, 0, 12]
    item.add_new("LUTData", "OW", np.array([1, 2, 4000], dtype="<u2").tobytes())
    lut = read_lut(header(VOILUTSequence=[item]), "VOILUTSequence", signed=False)
    assert lut is not None
    assert (lut.bits, lut.entries.tolist()) == (12, [1, 2, 4000])


def test_a_lut_shorter_than_it_says_is_not_used() -> None:
    item = lut_item(0, [1, 2, 3])
    item.LUTDescriptor = [4, 0, 16]
    assert read_lut(header(VOILUTSequence=[item]), "VOILUTSequence", signed=False) is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, 4095),  # unsigned 12 bit: 0..4095
        ({"PixelRepresentation": 1}, -1),  # signed 12 bit: -2048..2047
        ({"RescaleSlope": 2, "RescaleIntercept": -1000}, 2 * 4095 - 2000),
        ({"ModalityLUTSequence": [lut_item(0, [5, 50, 500])]}, 505),
    ],
)
def test_monochrome1_is_mirrored_in_the_range_that_the_header_can_state(
    values: dict[str, object], expected: float
) -> None:
    assert expected == mirror(header(PhotometricInterpretation="MONOCHROME1", **values))


def test_monochrome2_is_not_mirrored() -> None:
    assert mirror(header(PhotometricInterpretation="MONOCHROME2")) is None


@given(
    st.floats(-5000, 5000),
    st.floats(1, 9000),
    st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    st.lists(st.floats(-32768, 65535), min_size=2, max_size=20),
)
def test_a_brighter_value_is_never_shown_darker(
    center: float, width: float, function: str, values: list[float]
) -> None:
    shares = Voi(center=center, width=width, function=function)(np.sort(np.array(values)))  # type: ignore[arg-type]
    assert (np.diff(shares) >= -1e-6).all()
    assert 0 <= shares.min() <= shares.max() <= 1
