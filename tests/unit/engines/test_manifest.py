"""A manifest says everything that reading needs, or it is refused with the field's name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from radiolucent.engines.manifest import HeadSpec, load_manifest
from radiolucent.errors import InvalidBundle


@pytest.fixture
def text(tiny: Any) -> str:
    return str((tiny.make() / "manifest.toml").read_text(encoding="utf-8"))


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "manifest.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_manifest_gives_label_and_names_in_the_order_of_the_outputs(tmp_path: Path, text: str) -> None:
    manifest = load_manifest(written(tmp_path, text))
    assert manifest.label == "tiny@1.0.0"
    assert manifest.finding_names == ("glioma", "meningioma")


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidBundle, match=r"no manifest\.toml"):
        load_manifest(tmp_path / "manifest.toml")


def test_text_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidBundle, match="no valid TOML"):
        load_manifest(written(tmp_path, "name ="))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidBundle, match="no valid TOML"):
        load_manifest(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("schema_version = 1", "schema_version = 2", "schema_version"),
        ('name = "tiny"', 'name = "Tiny engine"', "name: String should match"),
        ('version = "1.0.0"', 'version = "1.0"', "version: String should match"),
        ('title = "A tiny engine"\n', "", "title: Field required"),
        ('title = "A tiny engine"', 'title = "A tiny engine"\ncolour = 1', "colour: Extra inputs"),
        ("display_scale = 2.0", "display_scale = 0.0", r"findings\.0\.display_scale: Input should be greater than 0"),
        ("height = 16", "height = 0", r"input\.height"),
        ('pooling = "mean"', 'pooling = "max"', r"head\.pooling"),
        ('pooling = "mean"', 'pooling = "mean"\nsharpness = 2.0', "sharpness is given for log-sum-exp pooling"),
        ('pooling = "mean"', 'pooling = "log-sum-exp"', "sharpness is given for log-sum-exp pooling"),
        ('name = "meningioma"', 'name = "glioma"', "a finding is listed twice"),
        ('basis = "phantom"', 'basis = "guess"', r"findings\.0\.basis"),
    ],
)
def test_a_field_that_is_missing_unknown_or_out_of_range_is_named(
    tmp_path: Path, text: str, old: str, new: str, message: str
) -> None:
    assert old in text
    with pytest.raises(InvalidBundle, match=message):
        load_manifest(written(tmp_path, text.replace(old, new, 1)))


def test_log_sum_exp_pooling_has_its_sharpness() -> None:
    assert HeadSpec(pooling="log-sum-exp", sharpness=2.0, grid=(4, 4)).sharpness == 2.0


def test_a_margin_that_no_recipe_would_cut_is_refused(tmp_path: Path, text: str) -> None:
    assert "[input]" in text
    with pytest.raises(InvalidBundle, match="cuts no margin"):
        load_manifest(written(tmp_path, text.replace("[input]", "[input]\nmargin = 4")))


def test_sites_are_named_once_and_told_of_single_films(tmp_path: Path, text: str) -> None:
    hand = '\n[[sites]]\nname = "hand"\nbasis = "real"\nread = true\nbody_parts = ["hand", "wrist"]\n'
    assert load_manifest(written(tmp_path, text + hand)).sites[0].body_parts == ["hand", "wrist"]
    with pytest.raises(InvalidBundle, match="a site is listed twice"):
        load_manifest(written(tmp_path, text + hand + hand))
    series = text.replace('study_rule = "image"', 'study_rule = "largest-slice"')
    assert load_manifest(written(tmp_path, series)).sites == []
    with pytest.raises(InvalidBundle, match="sites are told of single films"):
        load_manifest(written(tmp_path, series + hand))
