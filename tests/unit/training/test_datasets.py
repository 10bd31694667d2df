import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from radiolucent.errors import SetupError
from radiolucent.training.datasets import build_pack, symmetry_axis
from radiolucent.training.recipes import find_recipe


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    with (tmp_path / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["file", "split", "class", "block", "polygon_xy"])
        for index, name in enumerate(("glioma", "pituitary")):
            picture = np.zeros((256, 256), dtype=np.uint8)
            picture[40:220, 60:200] = 80
            picture[100:120, 130:150] = 200
            Pillow.fromarray(picture).save(tmp_path / "images" / f"{index}.png")
            square = [[130, 100], [149, 100], [149, 119], [130, 119]]
            table.writerow([f"{index}.png", ("train", "val")[index], name, index, json.dumps(square)])
    return tmp_path


def test_rows_become_images_with_their_outline_on_the_bright_spot(folder: Path) -> None:
    pack = build_pack(find_recipe("brain-mri"), [folder])
    assert pack.images.shape == (2, 1, 208, 208)
    assert pack.split.tolist() == ["train", "val"]
    np.testing.assert_array_equal([[1, 0, 0], [0, 0, 1]], pack.labels)
    for index, bit in enumerate((1, 4)):
        bright = pack.images[index, 0] > 0.7 * pack.images[index, 0].max()
        outline = pack.outlines[index] == bit
        assert (bright & outline).sum() / (bright | outline).sum() > 0.8
        assert 16 * 16 * 0.8 < outline.sum() < 16 * 16 * 1.2


def test_progress_is_told_row_by_row(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    build_pack(find_recipe("brain-mri"), [folder], lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


def test_folders_without_a_fitting_label_are_refused(folder: Path) -> None:
    (folder / "labels.csv").write_text("file,split,class,block,polygon_xy\n", encoding="utf-8")
    with pytest.raises(SetupError, match="no image labelled"):
        build_pack(find_recipe("brain-mri"), [folder])


def test_a_symmetric_head_has_its_axis_in_the_middle() -> None:
    lines, columns = np.mgrid[0:90, 0:90]
    head = (((lines - 45) / 40) ** 2 + ((columns - 47) / 30) ** 2 < 1).astype(np.float32)
    head[30:40, 57:62] += 1
    head[30:40, 33:38] += 1
    assert pytest.approx(symmetry_axis(head), abs=2) == 47


def test_a_head_seen_from_the_side_has_no_axis() -> None:
    lines, columns = np.mgrid[0:90, 0:90]
    head = (((lines - 45) / 40) ** 2 + ((columns - 47) / 30) ** 2 < 1).astype(np.float32)
    head[:, :45] *= 3
    assert np.isnan(symmetry_axis(head))
