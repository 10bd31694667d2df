import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from radiolucent.engines.runtime import Engine
from radiolucent.errors import SetupError
from radiolucent.evaluate import table
from radiolucent.evaluate.layouts import Row
from radiolucent.evaluate.report import evaluate, read_case, summarise


def a_row(folder: Path, name: str, *, finding: str, spot: tuple[int, int], outline: tuple[int, int]) -> Row:
    """A grey square with a bright spot of 20 × 20 pixels, said to be a finding whose outline stands at `outline`."""
    picture = np.zeros((200, 200), dtype=np.uint8)
    picture[10:190, 20:180] = 60
    top, left = spot
    picture[top : top + 20, left : left + 20] = 230
    Pillow.fromarray(picture).save(folder / name)
    y, x = outline
    corners = np.array([[y, x], [y, x + 19], [y + 19, x + 19], [y + 19, x]], dtype=np.float64)
    names = ("glioma", "meningioma", "pituitary-tumour")
    return Row(
        path=folder / name,
        labels={other: float(other == finding) for other in names},
        outlines=((finding, corners),),
        outlined=True,
        spacing_mm=(1.0, 1.0),
        split="val",
        group=name,
        subgroups={"site": "left" if left < 100 else "right"},
    )


@pytest.fixture
def rows(tmp_path: Path) -> list[Row]:
    return [
        a_row(tmp_path, "0.png", finding="glioma", spot=(60, 60), outline=(60, 60)),
        a_row(tmp_path, "1.png", finding="glioma", spot=(60, 120), outline=(60, 120)),
        a_row(tmp_path, "2.png", finding="glioma", spot=(60, 60), outline=(60, 100)),
        a_row(tmp_path, "3.png", finding="meningioma", spot=(120, 60), outline=(120, 60)),
    ]


def test_every_figure_is_what_was_built_into_the_images(engine: Engine, rows: list[Row]) -> None:
    cases = [read_case(engine, row) for row in rows]
    measured = summarise(engine.bundle, cases, data="made-up", split="val", draws=50)
    assert measured["classification"]["accuracy"]["value"] == 0.75
    assert measured["confusion"]["meningioma"] == {"glioma": 1, "meningioma": 0, "pituitary-tumour": 0}
    assert measured["findings"]["glioma"]["sensitivity"]["value"] == 1
    assert measured["findings"]["glioma"]["specificity"]["value"] == 0
    assert measured["findings"]["glioma"]["sensitivity"]["n"] == 3
    place = measured["localisation"]
    assert place["glioma"]["hit_rate"]["value"] == pytest.approx(2 / 3)
    assert place["glioma"]["centroid_mm_median"]["value"] == pytest.approx(0, abs=1.5)
    assert place["glioma"]["within_8_mm"]["value"] == pytest.approx(2 / 3)
    assert place["meningioma"]["empty"]["value"] == 1
    assert place["meningioma"]["centroid_mm_median"]["value"] is None


def test_only_calibrated_findings_have_a_calibration_error(engine: Engine, rows: list[Row]) -> None:
    measured = summarise(engine.bundle, [read_case(engine, row) for row in rows], data="", split=None, draws=10)
    assert "calibration_error" in measured["findings"]["glioma"]
    assert "calibration_error" not in measured["findings"]["meningioma"]


def test_guesses_that_never_look_are_measured_beside(engine: Engine, rows: list[Row]) -> None:
    measured = summarise(engine.bundle, [read_case(engine, row) for row in rows], data="", split=None, draws=10)
    assert measured["baselines"]["centre"]["all"]["hit_rate"]["value"] == 0
    # the prior's cell lies over rows 55 to 100 and columns 100 to 140: over the outlines of images 1 and 2
    assert measured["baselines"]["mean_mask"]["glioma"]["hit_rate"]["value"] == pytest.approx(1 / 3)
    assert measured["baselines"]["mean_mask"]["all"]["hit_rate"]["n"] == 3


def test_subgroups_have_figures_of_their_own(engine: Engine, rows: list[Row]) -> None:
    measured = summarise(engine.bundle, [read_case(engine, row) for row in rows], data="", split=None, draws=10)
    assert measured["subgroups"]["site"]["right"]["n"] == 1
    assert measured["subgroups"]["site"]["right"]["localisation"]["hit_rate"]["value"] == 1


def test_the_figures_are_plain_json_and_make_a_table(engine: Engine, rows: list[Row]) -> None:
    measured = summarise(engine.bundle, [read_case(engine, row) for row in rows], data="made-up", split="val", draws=10)
    assert json.loads(json.dumps(measured, allow_nan=False)) == measured
    text = table.plain(measured)
    assert text.startswith("bright-spots@1.2.3 on made-up, split val: 4 images in 4 groups")
    assert "Peak inside the outline" in text
    assert len(table.lines(measured)) + 2 == len(table.markdown(measured).splitlines())


def test_a_split_without_images_is_refused(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,split,class,block,polygon_xy\n", encoding="utf-8")
    with pytest.raises(SetupError, match="no image whose split is 'val'"):
        evaluate(engine.bundle, tmp_path)


def test_a_case_of_two_sites_counts_in_both_and_the_spread_is_between_them(engine: Engine, rows: list[Row]) -> None:
    both = [replace(row, subgroups={"site": "left+right"}) for row in rows]
    cases = [read_case(engine, row) for row in both]
    measured = summarise(engine.bundle, cases, data="made-up", split="val", draws=10)
    assert [part["n"] for part in measured["subgroups"]["site"].values()] == [4, 4]
    # too few to say anything of the spread
    assert measured["spread"]["site"] == {
        **{name: {"auroc": None} for name in engine.bundle.manifest.finding_names},
        "hit_rate": None,
    }


def test_the_spread_is_the_largest_less_the_smallest_subgroup(engine: Engine, rows: list[Row]) -> None:
    cases = [read_case(engine, row) for row in rows] * 12
    measured = summarise(engine.bundle, cases, data="made-up", split="val", draws=5)
    left, right = (measured["subgroups"]["site"][name]["localisation"]["hit_rate"] for name in ("left", "right"))
    assert measured["spread"]["site"]["hit_rate"] == pytest.approx(abs(left["value"] - right["value"]))
    assert any("site: left" in where for _, where, _ in table.lines(measured))
    assert "largest less smallest" in table.plain(measured)
