"""Frames and maps as bytes: what the browser decodes is what the stack holds."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from radiolucent.imaging.geometry import PixelRecord, Resize
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.imaging.study import Frame, Stack
from radiolucent.web.viewer_data import Packing, finding_view, frame_bytes, heat_bytes, packing, series_meta
from tests.unit.findings.conftest import make_finding, make_reading

Pixels = NDArray[np.float32]


def a_stack(pixels: Pixels, **changes: object) -> Stack:
    header = Dataset()
    header.SeriesDescription = "made up"
    frames = tuple(Frame(sop_class_uid="1.2", sop_instance_uid=f"1.{k}", number=1) for k in range(len(pixels)))
    stack = Stack(
        study_instance_uid="1",
        series_instance_uid="1.1",
        modality="CT",
        kind="frames",
        frames=frames,
        headers=(header,) * len(frames),
        decode=lambda index: pixels[index],
    )
    return replace(stack, **changes)  # type: ignore[arg-type]


def decoded(stack: Stack, index: int) -> Pixels:
    how = packing(stack)
    data = np.frombuffer(frame_bytes(stack, index, how), dtype=np.dtype(how.dtype).newbyteorder("<"))
    return np.asarray(data.reshape(stack.decode(index).shape) * how.slope + how.intercept, dtype=np.float32)


@given(arrays(np.int16, (3, 5, 4)))
def test_whole_numbers_come_back_exactly(values: NDArray[np.int16]) -> None:
    stack = a_stack(values.astype(np.float32))
    assert packing(stack) == Packing(dtype="int16", slope=1.0, intercept=0.0)
    np.testing.assert_array_equal(decoded(stack, 2), values[2])


@given(arrays(np.float32, (2, 4, 4), elements=st.floats(-1e5, 1e5, width=32)))
def test_other_values_come_back_within_half_a_step(values: Pixels) -> None:
    stack = a_stack(values)
    step = packing(stack).slope
    assert (
        np.abs(decoded(stack, 0) - values[0]).max() <= 0.5 * step + 1e-3 * max(1.0, float(np.abs(values).max())) / 100
    )


def test_a_frame_that_is_not_there_is_an_error() -> None:
    stack = a_stack(np.zeros((2, 3, 3), dtype=np.float32))
    for index in (-1, 2):
        with pytest.raises(IndexError):
            frame_bytes(stack, index, packing(stack))


def test_the_meta_says_how_to_read_the_bytes() -> None:
    stack = a_stack(np.arange(24, dtype=np.float32).reshape(2, 3, 4))
    meta = series_meta(stack, packing(stack), frames_url="/frames/")
    assert (meta["frames"], meta["rows"], meta["columns"], meta["dtype"], meta["unit"]) == (2, 3, 4, "int16", "HU")
    assert meta["planes"] == [None, None]
    assert meta["spacing_mm"] is None
    assert meta["window"]["width"] > 0


@pytest.mark.parametrize(
    ("spacing_mm", "ratio", "aspect"),
    [
        ((2.0, 0.5), [1, 3], 4.0),
        (None, [3, 1], 3.0),
        (None, None, 1.0),
        (None, [0, 1], 1.0),
        (None, [1, 0], 1.0),
        (None, [5], 1.0),
    ],
)
def test_a_pixel_has_the_shape_that_the_header_says(
    spacing_mm: tuple[float, float] | None, ratio: list[int] | None, aspect: float
) -> None:
    stack = a_stack(np.zeros((1, 3, 3), dtype=np.float32))
    header = deepcopy(stack.header)
    if ratio is not None:
        header.PixelAspectRatio = ratio if len(ratio) > 1 else ratio[0]
    frames = tuple(replace(one, spacing_mm=spacing_mm) for one in stack.frames)
    stack = replace(stack, headers=(header,), frames=frames)
    assert series_meta(stack, packing(stack), frames_url="/frames/")["pixel_aspect"] == aspect


def test_a_map_keeps_its_absolute_scale() -> None:
    record = PixelRecord(source_shape=(8, 8), steps=(Resize(height=4, width=4),))
    for peak in (1.0, 9.0):
        evidence = np.zeros((2, 4, 4), dtype=np.float32)
        evidence[1, 2, 3] = peak
        evidence[0, 0, 0] = -3.0
        finding = make_finding(heatmap=Heatmap(evidence=evidence, record=record, display_scale=4.0))
        data, headers = heat_bytes(finding)
        cells = np.frombuffer(data, dtype=np.uint8).reshape(2, 4, 4) / 255 * float(headers["X-Vmax"])
        assert headers == {"X-Shape": "2,4,4", "X-Vmin": "0", "X-Vmax": repr(max(4.0, peak)), "X-Scale": "absolute"}
        assert cells[1, 2, 3] == pytest.approx(peak, abs=0.02)
        assert cells.sum() == pytest.approx(peak, abs=0.02)


def test_a_withheld_map_tells_no_place() -> None:
    finding = make_finding()
    series = make_reading(finding).series[0]
    where = series.findings[0].localisation
    assert where is not None
    open_, shut = (finding_view(series.findings[0], series, heat_url=url) for url in ("/heat", None))
    assert open_["peak_frame"] == where.peak_frame
    assert len(open_["frame_logits"]) == len(series.frames)
    assert (shut["peak_frame"], shut["frame_logits"]) == (len(series.frames) // 2, [])
