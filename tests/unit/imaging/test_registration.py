"""The truth is known: the same pixels (or the same head, scanned again) under a header that was turned and moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from radiolucent.imaging.geometry import ImagePlane
from radiolucent.imaging.loading import load
from radiolucent.imaging.registration import Alignment, register
from radiolucent.imaging.study import Stack
from radiolucent.phantom.studies import write_studies


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    folder = tmp_path_factory.mktemp("head")
    write_studies(
        "brain-mr", ("glioma",), n=1, prior=False, seed=3, folder=folder, progress=lambda done, n: None, slices=20
    )
    return load(folder).studies[0].stacks[0]


def moved(stack: Stack, turn: NDArray[np.float64], shift_mm: NDArray[np.float64]) -> Stack:
    """The same pixels, said to lie elsewhere: turned around the middle of the head, then shifted."""
    planes = [frame.plane for frame in stack.frames if frame.plane is not None]
    middle = np.mean([plane.to_patient(np.array([64.0, 64.0])) for plane in planes], axis=0)

    def place(plane: ImagePlane) -> ImagePlane:
        position = turn @ (np.array(plane.position_mm) - middle) + middle + shift_mm
        return replace(
            plane,
            position_mm=tuple(position),
            row_cosines=tuple(turn @ np.array(plane.row_cosines)),
            column_cosines=tuple(turn @ np.array(plane.column_cosines)),
        )

    frames = tuple(replace(frame, plane=place(plane)) for frame, plane in zip(stack.frames, planes, strict=True))
    return replace(stack, frames=frames)


@settings(max_examples=6, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-12, 12)] * 3),
    shift=st.tuples(*[st.floats(-25, 25)] * 3),
)
def test_a_turned_and_moved_head_is_brought_back_to_within_2_mm(
    head: Stack, angles: tuple[float, float, float], shift: tuple[float, float, float]
) -> None:
    turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    prior = moved(head, turn, np.array(shift))
    found = register(head, prior)
    assert found is not None
    assert isinstance(found, Alignment)
    corners = np.array([[20.0, 20.0], [20.0, 100.0], [100.0, 64.0]])
    for here, there in zip(head.frames, prior.frames, strict=True):
        assert here.plane is not None
        assert there.plane is not None
        off = np.linalg.norm(found.move(there.plane.to_patient(corners)) - here.plane.to_patient(corners), axis=-1)
        assert off.max() < 2.0
    assert "registered: turned" in found.note


def test_the_same_volumes_give_the_same_transform(head: Stack) -> None:
    prior = moved(head, Rotation.from_euler("z", 5, degrees=True).as_matrix(), np.array([3.0, 0.0, 8.0]))
    first, second = register(head, prior), register(head, prior)
    assert first is not None
    assert second is not None
    np.testing.assert_allclose(first.to_current, second.to_current, atol=1e-6)


def _noise(stack: Stack) -> Stack:
    random = np.random.default_rng(1)
    return replace(stack, decode=lambda index: random.normal(size=stack.pixels.shape[1:]).astype(np.float32))


def _flat(stack: Stack) -> Stack:
    return replace(stack, decode=lambda index: np.ones(stack.pixels.shape[1:], dtype=np.float32))


def _few(stack: Stack) -> Stack:
    return replace(stack, frames=stack.frames[:4], headers=stack.headers[:4])


def _sheared(stack: Stack) -> Stack:
    frames = []
    for index, frame in enumerate(stack.frames):
        assert frame.plane is not None
        x, y, z = frame.plane.position_mm
        frames.append(replace(frame, plane=replace(frame.plane, position_mm=(x, y + 2.0 * index, z))))
    return replace(stack, frames=tuple(frames))


@pytest.mark.parametrize(
    "spoil",
    [
        _noise,
        _flat,
        _few,
        _sheared,
        lambda stack: replace(stack, modality="CT"),
        lambda stack: replace(stack, kind="frames"),
    ],
    ids=["noise", "flat", "few slices", "gantry tilt", "other modality", "no volume"],
)
def test_what_can_not_be_registered_gives_nothing(head: Stack, spoil: Callable[[Stack], Stack]) -> None:
    assert register(head, spoil(head)) is None
