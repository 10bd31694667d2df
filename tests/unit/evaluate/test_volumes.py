from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from radiolucent.engines.runtime import Engine
from radiolucent.errors import SetupError
from radiolucent.evaluate.volumes import evaluate_volumes, read_volume
from radiolucent.phantom import make_study


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One synthetic head, its second-last slice marked as outlined."""
    home = tmp_path_factory.mktemp("volumes") / "01" / "19990101"
    study = make_study("brain-mr", [], seed=3, rows=64, slices=6)
    study.save(home)
    (home / "truth.json").unlink()
    mask = np.zeros((64, 64), dtype=np.uint8)
    mask[20:40, 20:40] = 255
    Pillow.fromarray(mask).save(home / "005.mask.png")
    return home


def test_an_outline_lands_on_the_slice_of_its_file(folder: Path, engine: Engine) -> None:
    volume = read_volume(engine, folder)
    assert volume.masks.any(axis=(1, 2)).tolist() == [False] * 4 + [True, False]
    assert set(volume.places) == {4}
    assert volume.probabilities.shape == (6, 3)
    assert volume.group == "01"


def test_a_folder_without_outlines_is_refused(tmp_path: Path, engine: Engine) -> None:
    with pytest.raises(SetupError, match=r"holds no NNN\.mask\.png"):
        evaluate_volumes(engine.bundle, tmp_path)


def test_a_folder_of_two_series_is_refused(tmp_path: Path, engine: Engine) -> None:
    make_study("brain-mr", [], seed=3, rows=64, slices=4).save(tmp_path / "a")
    make_study("brain-mr", [], seed=4, rows=64, slices=4).save(tmp_path / "b")
    with pytest.raises(SetupError, match=r"holds \d stacks of images"):
        read_volume(engine, tmp_path)
