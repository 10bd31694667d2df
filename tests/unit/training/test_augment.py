from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="needs the torch extra: make torch")

import torch

from radiolucent.training.augment import augment, centre, mirror_half
from radiolucent.training.recipe import Augmentation

STILL = Augmentation(
    rotation=0.0,
    scale=(1.0, 1.0),
    stretch=0.0,
    shift=0.0,
    flip_columns=False,
    gamma=0.0,
    contrast=0.0,
    bias_field=0.0,
    noise=0.0,
    blur=0.0,
    mirror=0.0,
    cut=0.0,
)
UNKNOWN = torch.full((4,), float("nan"))


def a_batch(column: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.rand(4, 1, 40, 40, generator=torch.Generator().manual_seed(0)) * 0.2
    cover = torch.zeros(4, 2, 40, 40)
    cover[:, 0, 15:22, column : column + 6] = 1
    return images + cover.sum(dim=1, keepdim=True), cover


def test_nothing_is_varied_where_everything_is_off() -> None:
    images, cover = a_batch()
    out, moved, removed = augment(images, cover, UNKNOWN, size=32, air=-1.0, how=STILL, random=torch.Generator())
    torch.testing.assert_close(centre(images, 32), out, atol=1e-4, rtol=0)
    torch.testing.assert_close(centre(cover, 32), moved, atol=1e-4, rtol=0)
    assert not removed.any()


def test_the_same_seed_gives_the_same_batch() -> None:
    images, cover = a_batch()
    batches = [
        augment(images, cover, UNKNOWN, size=32, air=-1.0, how=Augmentation(), random=torch.Generator().manual_seed(3))
        for _ in range(2)
    ]
    for first, second in zip(*batches, strict=True):
        torch.testing.assert_close(first, second, atol=0, rtol=0)


def test_an_outline_moves_with_its_image() -> None:
    images, cover = a_batch(column=17)
    how = replace(STILL, rotation=30.0, scale=(0.8, 1.25), shift=3.0, flip_columns=True)
    out, moved, _ = augment(images, cover, UNKNOWN, size=40, air=0.0, how=how, random=torch.Generator().manual_seed(1))
    inside = out[:, 0][moved[:, 0] > 0.99]
    outside = out[:, 0][moved[:, 0] < 0.01]
    assert inside.min() > 0.9
    assert outside.max() < 0.4


def test_a_half_with_the_finding_is_replaced_by_the_other_half() -> None:
    images, cover = a_batch()
    midline = torch.full((4,), 19.5)
    out, moved, emptied = mirror_half(images, cover, midline, share=1.0, emptied=1.0, random=torch.Generator())
    assert emptied.all()
    assert moved.sum() == 0
    torch.testing.assert_close(out, out.flip(3))


def test_a_mirrored_finding_stays_a_finding() -> None:
    images, cover = a_batch()
    midline = torch.full((4,), 19.5)
    _, moved, emptied = mirror_half(images, cover, midline, share=1.0, emptied=0.0, random=torch.Generator())
    assert not emptied.any()
    assert 2 * cover.sum() == moved.sum()


def test_heads_without_a_midline_are_left_alone() -> None:
    images, cover = a_batch()
    out, _, emptied = mirror_half(images, cover, UNKNOWN, share=1.0, emptied=1.0, random=torch.Generator())
    assert not emptied.any()
    torch.testing.assert_close(images, out)


def test_a_cut_keeps_the_whole_finding_or_none_of_it() -> None:
    images, cover = a_batch(column=26)
    random = torch.Generator().manual_seed(2)
    seen = set()
    for _ in range(20):
        _, moved, removed = augment(
            images, cover, UNKNOWN, size=40, air=-1.0, how=replace(STILL, cut=1.0), random=random
        )
        left = moved.sum(dim=(1, 2, 3)) / cover.sum(dim=(1, 2, 3))
        for share, gone in zip(left.tolist(), removed.tolist(), strict=True):
            assert share == pytest.approx(0.0 if gone else 1.0, abs=1e-4)
            seen.add(gone)
    assert seen == {True, False}


def test_a_finding_that_left_the_view_counts_as_gone() -> None:
    images, cover = a_batch(column=0)
    _, moved, removed = augment(images, cover, UNKNOWN, size=20, air=-1.0, how=STILL, random=torch.Generator())
    assert moved.sum() == 0
    assert removed.all()
