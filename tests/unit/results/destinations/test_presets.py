"""Presets: each row can be done, what is left out is named, and a withdrawal goes out whatever the preset says."""

from pathlib import Path

import pytest

from radiolucent.errors import SetupError
from radiolucent.results.destinations import Package
from radiolucent.results.destinations.package import KINDS, DicomFile
from radiolucent.results.destinations.presets import packaged_presets, preset, select, site_presets

OBJECTS = tuple(
    DicomFile(
        path=Path(f"{number}.dcm"),
        sop_class_uid=sop_class,
        sop_instance_uid=f"1.2.{number}",
        study_instance_uid="1.2",
        series_instance_uid="1.2.3",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
    )
    for number, sop_class in enumerate(KINDS, start=1)
)
PACKAGE = Package(study_instance_uid="1.2", objects=OBJECTS)
EACH = pytest.mark.parametrize("name", sorted(packaged_presets()))


@EACH
def test_every_object_is_sent_or_named_as_left_out(name: str) -> None:
    selection = select(PACKAGE, preset(name))
    sent = {item.sop_instance_uid for item in selection.objects}
    assert sent | set(selection.left_out) == {item.sop_instance_uid for item in OBJECTS}
    assert not sent & set(selection.left_out)
    assert {item.kind for item in selection.objects} <= set(preset(name).objects)
    assert all(selection.left_out.values())


@EACH
def test_key_objects_never_list_what_the_destination_was_not_sent(name: str) -> None:
    selection = select(PACKAGE, preset(name))
    assert not (selection.left_out and any(item.kind == "key-objects" for item in selection.objects))


def test_a_site_may_say_that_dangling_references_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "presets.toml"
    path.write_text(
        '[ours]\ntitle = "x"\nobjects = ["report", "key-objects"]\ntransfer_syntaxes = ["1.2.840.10008.1.2"]\n'
        'association = "each"\nreferences = "as-made"\n'
    )
    table = site_presets(path)
    assert {item.kind for item in select(PACKAGE, preset("ours", table)).objects} == {"report", "key-objects"}
    assert set(table) == {*packaged_presets(), "ours"}


@EACH
def test_a_withdrawal_reaches_every_destination(name: str) -> None:
    note = Package(study_instance_uid="1.2", status="withdrawn", objects=OBJECTS[-1:])
    assert select(note, preset(name)).objects == OBJECTS[-1:]


ROW = '[x]\ntitle = "x"\nobjects = [{objects}]\ntransfer_syntaxes = [{syntaxes}]\nassociation = "{association}"\n'
ROW += 'references = "complete"\n'
GOOD = {"objects": '"report"', "syntaxes": '"1.2.840.10008.1.2"', "association": "each"}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"objects": '"video"'}, "objects"),
        ({"objects": ""}, "objects"),
        ({"syntaxes": '"1.2.840.10008.1.2.4.50"'}, "can't be written"),
        ({"syntaxes": '"1.2.840.10008.1.2.5"'}, "uncompressed"),
        ({"association": "none"}, "association"),
        ({"association": 'each"\nspeed = "9'}, "speed"),
    ],
)
def test_a_row_that_cannot_be_done_is_refused_with_its_place(
    tmp_path: Path, change: dict[str, str], complaint: str
) -> None:
    path = tmp_path / "presets.toml"
    path.write_text(ROW.format(**{**GOOD, **change}))
    with pytest.raises(SetupError, match=complaint):
        site_presets(path)


def test_a_file_or_preset_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no such file"):
        site_presets(tmp_path / "presets.toml")
    (tmp_path / "presets.toml").write_text("= nonsense")
    with pytest.raises(SetupError, match="no valid TOML"):
        site_presets(tmp_path / "presets.toml")
    with pytest.raises(SetupError, match="captures-only"):
        preset("captures")
