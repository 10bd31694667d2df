"""What the training command refuses before it looks at an image."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.parametrize("more", [("--members", 2), ("--backbone", "residual")])
def test_fits_are_not_described_beside_weights_that_are_there(
    run: Callable[..., str], tmp_path: Path, more: tuple[object, ...]
) -> None:
    words = ("train", "brain-mri", "--data", tmp_path, "--out", tmp_path / "bundle", *more)
    assert "leave out" in run(*words, "--weights", tmp_path / "checkpoint.pt", ends=2)
    assert not (tmp_path / "bundle").exists()


def test_an_unknown_backbone_is_refused_with_those_that_are_known(run: Callable[..., str], tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the torch extra: make torch")
    words = ("train", "brain-mri", "--data", tmp_path, "--out", tmp_path / "bundle", "--backbone", "vgg")
    told = " ".join(run(*words, ends=2).split())
    assert "'vgg' is not known: choose residual or efficientnet-lite0" in told
