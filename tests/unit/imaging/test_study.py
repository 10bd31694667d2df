"""A stack is valid or raises, and decodes each frame once for its pixels."""

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from radiolucent.imaging.study import Frame, Stack, stack_key

FRAME = Frame(sop_class_uid="1.2", sop_instance_uid="1.2.3", spacing_mm=(0.5, 0.6))


def stack(frames: int, headers: int) -> tuple[Stack, list[int]]:
    asked: list[int] = []

    def decode(index: int) -> NDArray[np.float32]:
        asked.append(index)
        return np.full((2, 3), index, dtype=np.float32)

    made = Stack(
        study_instance_uid="1",
        series_instance_uid="1.5",
        modality="MR",
        kind="volume",
        frames=(FRAME,) * frames,
        headers=(Dataset(),) * headers,
        decode=decode,
    )
    return made, asked


def test_pixels_are_decoded_once_and_in_order() -> None:
    made, asked = stack(3, 3)
    assert made.pixels[:, 0, 0].tolist() == [0, 1, 2]
    assert made.pixels.shape == (3, 2, 3)
    assert asked == [0, 1, 2]


@pytest.mark.parametrize(("frames", "headers"), [(0, 0), (2, 1)])
def test_a_stack_needs_a_header_for_each_frame(frames: int, headers: int) -> None:
    with pytest.raises(ValueError, match="one header per frame"):
        stack(frames, headers)


def test_spacing_and_header_are_the_first_frames() -> None:
    made, _ = stack(2, 2)
    assert (made.spacing_mm, made.header) == ((0.5, 0.6), made.headers[0])


def test_a_stacks_key_names_the_part_from_the_second_on() -> None:
    assert (stack_key("1.5", 1), stack_key("1.5", 3)) == ("1.5", "1.5#3")
