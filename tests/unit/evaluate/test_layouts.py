import csv
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from radiolucent.errors import SetupError
from radiolucent.evaluate.layouts import draw_outlines, find_layout, folder_rows, read_pixels, read_rows
from radiolucent.imaging.geometry import Crop, PixelRecord


def a_folder(folder: Path, polygon: list[list[float]], name: str = "glioma") -> Path:
    (folder / "images").mkdir(parents=True)
    Pillow.fromarray(np.full((20, 30), 7, dtype=np.uint8)).save(folder / "images" / "1.png")
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerows(
            [["file", "split", "class", "block", "polygon_xy"], ["1.png", "val", name, 3, json.dumps(polygon)]]
        )
    return folder


SQUARE = [[4.0, 10.0], [13.0, 10.0], [13.0, 15.0], [4.0, 15.0]]


def test_a_row_tells_labels_outline_and_group(tmp_path: Path) -> None:
    (row,) = read_rows(a_folder(tmp_path, SQUARE, "pituitary"))
    assert row.labels == {"glioma": 0.0, "meningioma": 0.0, "pituitary-tumour": 1.0}
    assert (row.split, row.group, row.outlined) == ("val", "block-3", True)
    np.testing.assert_array_equal(row.outlines[0][1][0], (10.0, 4.0))


def test_an_outline_covers_its_pixels(tmp_path: Path) -> None:
    (row,) = read_rows(a_folder(tmp_path, SQUARE))
    cover = draw_outlines(row, "glioma", (20, 30))
    rows, columns = np.nonzero(cover >= 0.5)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 15, 4, 13)
    assert draw_outlines(row, "meningioma", (20, 30)).max() == 0


def test_an_outline_moves_with_the_record(tmp_path: Path) -> None:
    (row,) = read_rows(a_folder(tmp_path, SQUARE))
    record = PixelRecord(source_shape=(20, 30), steps=(Crop(top=8, left=2, height=10, width=12),))
    cover = draw_outlines(row, "glioma", (20, 30), record)
    np.testing.assert_array_equal(draw_outlines(row, "glioma", (20, 30))[8:18, 2:14], cover)


def test_rows_of_several_folders_come_in_order(tmp_path: Path) -> None:
    folders = [a_folder(tmp_path / name, SQUARE) for name in ("a", "b")]
    assert [row.path.parts[-3] for row in folder_rows(folders)] == ["a", "b"]


def test_images_may_lie_elsewhere(tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "a", SQUARE)
    (row,) = read_rows(folder, images=tmp_path / "other")
    assert row.path == tmp_path / "other" / "1.png"


def test_an_image_keeps_its_grey_values(tmp_path: Path) -> None:
    pixels = read_pixels(a_folder(tmp_path, SQUARE) / "images" / "1.png")
    assert (pixels.shape, float(pixels.max())) == ((20, 30), 7.0)
    assert pixels.dtype == np.float32


@pytest.mark.parametrize("name", ["none.png", "none.dcm"])
def test_a_missing_image_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(SetupError, match=name.replace(".", r"\.")):
        read_pixels(tmp_path / name)


def test_a_folder_without_a_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"labels\.csv can't be read"):
        read_rows(tmp_path)


def test_a_table_of_no_known_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"no known layout; known: .*brain-mri-cheng"):
        find_layout(["a", "b"], tmp_path / "labels.csv")


def test_a_line_that_cannot_be_understood_is_refused(tmp_path: Path) -> None:
    folder = a_folder(tmp_path, SQUARE, "lymphoma")
    with pytest.raises(SetupError, match="a line is not of its layout"):
        read_rows(folder)


def test_the_real_set_has_as_many_rows_as_its_description_says() -> None:
    if not os.environ.get("RADIOLUCENT_DATA"):
        pytest.skip("set RADIOLUCENT_DATA to the folder of real images")
    rows = read_rows(Path(os.environ["RADIOLUCENT_DATA"]) / "brain-mri-cheng")
    assert [sum(row.split == split for row in rows) for split in ("train", "val")] == [2087, 314]
    assert {row.group for row in rows if row.split == "val"}.isdisjoint(
        row.group for row in rows if row.split == "train"
    )


def a_film(folder: Path, **cells: str) -> Path:
    line = {
        "file": "1.png",
        "split": "val",
        "fractured": "1",
        "site": "leg+hip",
        "view": "frontal",
        "hardware": "1",
        "cluster": "7",
        "width": "410",
        "original_width": "2304",
        "boxes_xywh": "[[4, 10, 9, 5]]",
        "polygons_xy": json.dumps([[4, 10, 13, 10, 13, 15]]),
    } | cells
    (folder / "images").mkdir(parents=True)
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, list(line))
        table.writeheader()
        table.writerow(line)
    return folder


def test_a_film_tells_fracture_sites_and_hardware(tmp_path: Path) -> None:
    (row,) = read_rows(a_film(tmp_path))
    assert row.labels == {"fracture": 1, "hardware": 1, "hand": 0, "leg": 1, "hip": 1, "shoulder": 0}
    assert row.subgroups == {
        "site": "leg+hip",
        "view": "frontal",
        "hardware": "with hardware",
        "source": "reduced from more pixels",
    }
    assert (row.group, row.outlined, row.spacing_mm) == ("cluster-7", True, None)


def test_a_fractures_outline_is_its_polygon_and_else_its_box(tmp_path: Path) -> None:
    (row,) = read_rows(a_film(tmp_path / "a"))
    np.testing.assert_array_equal(row.outlines[0][1], [[10, 4], [10, 13], [15, 13]])
    (row,) = read_rows(a_film(tmp_path / "b", polygons_xy="[]"))
    assert {tuple(point) for point in row.outlines[0][1].tolist()} == {(10, 4), (10, 13), (15, 13), (15, 4)}


def test_a_film_without_a_fracture_has_no_outline(tmp_path: Path) -> None:
    (row,) = read_rows(a_film(tmp_path, fractured="0", boxes_xywh="", polygons_xy=""))
    assert (row.labels["fracture"], row.outlines) == (0, ())


def test_a_chest_film_has_fourteen_labels_and_no_outline(tmp_path: Path) -> None:
    names = ["Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax"]
    names += ["Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia"]
    with (tmp_path / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        line = ["7_000.jpg", "7", "val", *("1" if name == "Edema" else "0" for name in names)]
        csv.writer(stream).writerows([["file", "patient", "split", *names], line])
    (row,) = read_rows(tmp_path)
    assert {name for name, value in row.labels.items() if value} == {"oedema"}
    assert len(row.labels) == 14
    assert (row.outlines, row.outlined, row.group, row.split) == ((), False, "patient-7", "val")


def a_table(folder: Path, *lines: Sequence[object]) -> Path:
    (folder / "images").mkdir(parents=True)
    for line in lines[1:]:
        Pillow.fromarray(np.zeros((100, 100), dtype=np.uint8)).save(folder / "images" / str(line[0]))
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(lines)
    return folder


def test_a_slice_with_kinds_of_bleed_has_a_box_for_each_and_for_any(tmp_path: Path) -> None:
    boxes = json.dumps([["EDH", [0.5, 0.2, 0.2, 0.1]], ["IPH", [0.5, 0.6, 0.2, 0.2]]])
    head = ["file", "group", "split", "subtypes", "boxes_cxcywh_by_subtype"]
    folder = a_table(tmp_path, head, ["1.png", "g", "val", "EDH+IPH", boxes], ["2.png", "g", "val", "", "[]"])
    row, empty = read_rows(folder)
    assert {name for name, value in row.labels.items() if value} == {
        "epidural-haemorrhage",
        "intraparenchymal-haemorrhage",
        "any-haemorrhage",
        "mixed-haemorrhage",
    }
    rows, columns = np.nonzero(draw_outlines(row, "epidural-haemorrhage", (100, 100)) >= 0.5)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (15, 24, 40, 59)
    assert len(row.outlines) == 6
    assert (set(empty.labels.values()), empty.outlines, empty.outlined) == ({0.0}, (), True)


def test_a_slice_beside_a_bleed_has_no_label_and_one_further_on_none_for_the_ventricles(tmp_path: Path) -> None:
    head = ["file", "patient", "slice", "split", "oedema_mask", "lesion_box_xyxy"]
    lines = [[f"{index}.png", "7", index, "val", 0, "[[10, 20, 30, 50]]" if index == 5 else ""] for index in range(10)]
    rows = read_rows(a_table(tmp_path, head, *lines))
    assert [row.labels.get("any-haemorrhage") for row in rows] == [0, 0, 0, 0, None, 1, None, 0, 0, 0]
    assert [row.outlined for row in rows] == [index not in (4, 6) for index in range(10)]
    unknown = [index for index, row in enumerate(rows) if "intraventricular-haemorrhage" not in row.labels]
    assert unknown == [2, 3, 4, 5, 6, 7, 8]
    assert rows[5].labels["epidural-haemorrhage"] == 0
    assert {row.group for row in rows} == {"7"}
