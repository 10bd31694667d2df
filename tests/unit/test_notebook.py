"""What is seen by who reads a study in a notebook: three names, tables that escape, a picture on a fixed scale."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

import radiolucent as rl
from radiolucent.findings.reading import Reading, Refusal, UnreadSeries
from radiolucent.imaging.geometry import PixelRecord
from radiolucent.imaging.heatmap import Heatmap


@pytest.mark.parametrize("name", rl.__all__)
def test_every_name_of_the_face_is_there(name: str) -> None:
    assert callable(getattr(rl, name))


def test_any_other_name_is_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'predict'"):
        _ = rl.predict


def drawn(peak: float) -> np.ndarray[Any, Any]:
    evidence = np.zeros((2, 4, 4), dtype=np.float32)
    evidence[1, 2, 1] = peak
    heatmap = Heatmap(evidence=evidence, record=PixelRecord(source_shape=(16, 16)), display_scale=4.0)
    return np.asarray(Image.open(io.BytesIO(heatmap._repr_png_())))


def test_the_picture_shows_the_peak_where_it_is_and_nothing_below_the_floor() -> None:
    picture = drawn(4.0)
    assert picture.shape == (240, 240, 3)
    assert picture[150, 90].sum() > 600
    assert (picture[:110] == picture[0, 0]).all()
    faint = drawn(1.0)  # a quarter of the scale, under the floor
    assert (faint == faint[0, 0]).all()


def test_what_was_not_read_is_said_and_what_a_sender_wrote_is_escaped() -> None:
    refused = Refusal(code="no-engine", reason="<script>alert(1)</script>")
    unread = UnreadSeries(series_instance_uid="1.2", modality="MR", description="", frames=3, refusals=(refused,))
    html = Reading(study_instance_uid="1.2", series=(), unread=(unread,))._repr_html_()
    assert "<p>not-read</p>" in html
    assert "not read: MR: &lt;script&gt;" in html
    assert "<script>" not in html
    assert "Not for clinical use" in html
