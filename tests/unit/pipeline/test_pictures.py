"""What the page says of how exactly a prior's slice shows the same place."""

import numpy as np
import pytest
from pydicom.dataset import Dataset

from radiolucent.imaging.study import Frame, Stack
from radiolucent.pipeline.pictures import link_caption


def a_stack(frame_of_reference: str, frames: int = 3) -> Stack:
    header = Dataset()
    if frame_of_reference:
        header.FrameOfReferenceUID = frame_of_reference
    return Stack(
        study_instance_uid="1",
        series_instance_uid="1.1",
        modality="MR",
        kind="volume",
        frames=tuple(Frame(sop_class_uid="1", sop_instance_uid=f"1.{index}") for index in range(frames)),
        headers=(header,) * frames,
        decode=lambda index: np.zeros((4, 4), dtype=np.float32),
    )


@pytest.mark.parametrize(
    ("own", "other", "by_mm", "words"),
    [
        ("1.2", "1.2", True, ""),
        ("1.2", "1.3", True, "aren't registered"),
        ("", "", True, "aren't registered"),
        ("1.2", "1.2", False, "by fraction"),
    ],
)
def test_a_link_is_called_approximate_unless_both_share_a_frame_of_reference(
    own: str, other: str, by_mm: bool, words: str
) -> None:
    caption = link_caption(a_stack(own), a_stack(other), by_mm=by_mm)
    assert caption.startswith("Approximate link") == bool(words)
    assert words in caption


def test_a_single_film_needs_no_link() -> None:
    assert link_caption(a_stack("1.2"), a_stack("1.3", frames=1), by_mm=False) == ""
