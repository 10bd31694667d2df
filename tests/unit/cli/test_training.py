"""What the training command refuses before it looks at an image."""

from collections.abc import Callable
from pathlib import Path


def test_fits_are_not_asked_for_beside_weights_that_are_there(run: Callable[..., str], tmp_path: Path) -> None:
    words = ("train", "brain-mri", "--data", tmp_path, "--out", tmp_path / "bundle", "--members", 2)
    assert "leave one out" in run(*words, "--weights", tmp_path / "checkpoint.pt", ends=2)
    assert not (tmp_path / "bundle").exists()
