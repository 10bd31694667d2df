"""A result appears in a watched folder as a whole or not at all; a resend changes nothing."""

import fcntl
import os
from dataclasses import replace
from pathlib import Path

import pytest

from radiolucent.errors import FinalDelivery, RetriableDelivery
from radiolucent.results.destinations import Package
from radiolucent.results.destinations.folder import KEY_FILE, Folder
from radiolucent.results.destinations.package import DicomFile
from radiolucent.results.destinations.presets import preset


@pytest.fixture
def package(tmp_path: Path) -> Package:
    (tmp_path / "map.dcm").write_bytes(b"a map")
    item = DicomFile(
        path=tmp_path / "map.dcm",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.30",
        sop_instance_uid="1.2.3.4",
        study_instance_uid="1.2",
        series_instance_uid="1.2.3",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
    )
    return Package(study_instance_uid="1.2", objects=(item,), oru=b"MSH|\r", fhir='{"name": "Zoë"}')


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def everything(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_objects_message_and_bundle_lie_under_study_and_revision(package: Package, root: Path) -> None:
    receipt = Folder(name="share", root=root).deliver(package)
    assert receipt.delivered == ("1.2.3.4",)
    assert everything(root) == {
        "1.2/1-preliminary/bundle.json": '{"name": "Zoë"}'.encode(),
        "1.2/1-preliminary/dicom/map.dcm": b"a map",
        "1.2/1-preliminary/message.hl7": b"MSH|\r",
        f"1.2/1-preliminary/{KEY_FILE}": f"{package.key}\n".encode(),
    }


def test_a_resend_changes_nothing_and_another_result_is_refused(package: Package, root: Path) -> None:
    folder = Folder(name="share", root=root)
    first = folder.deliver(package)
    before = everything(root)
    assert folder.deliver(package) == first
    with pytest.raises(FinalDelivery, match="raise the revision"):
        folder.deliver(replace(package, oru=b"MSH|other\r"))
    assert everything(root) == before
    folder.deliver(replace(package, revision=2))
    folder.deliver(replace(package, status="withdrawn"))
    assert {path.name for path in (root / "1.2").iterdir()} == {"1-preliminary", "2-preliminary", "1-withdrawn"}


def test_what_the_preset_leaves_out_is_not_written(package: Package, root: Path) -> None:
    receipt = Folder(name="share", root=root, preset=preset("captures-only")).deliver(package)
    assert receipt.delivered == ()
    assert set(receipt.left_out) == {"1.2.3.4"}
    assert "1.2/1-preliminary/dicom/map.dcm" not in everything(root)


def test_a_share_that_is_not_mounted_is_tried_again_and_not_made(package: Package, tmp_path: Path) -> None:
    with pytest.raises(RetriableDelivery, match="isn't there"):
        Folder(name="share", root=tmp_path / "away").deliver(package)
    assert not (tmp_path / "away").exists()


def test_objects_that_are_gone_are_a_matter_for_a_person(package: Package, root: Path) -> None:
    package.objects[0].path.unlink()
    with pytest.raises(FinalDelivery, match="encode the reading again"):
        Folder(name="share", root=root).deliver(package)
    assert everything(root) == {}
    assert list(root.iterdir()) == []


def test_a_folder_with_a_file_in_its_way_leaves_nothing_half_written(package: Package, root: Path) -> None:
    (root / "1.2").write_text("a file")
    with pytest.raises(FinalDelivery, match="can't be written"):
        Folder(name="share", root=root).deliver(package)
    assert set(everything(root)) == {"1.2"}


def test_what_a_killed_writer_left_is_taken_away_and_what_another_has_in_hand_is_not(
    package: Package, root: Path
) -> None:
    left, in_hand = root / ".partial-left", root / ".partial-in-hand"
    for folder in (left, in_hand):
        folder.mkdir()
        (folder / "map.dcm").write_bytes(b"half")
    held = os.open(in_hand, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)

    Folder(name="share", root=root).deliver(package)

    os.close(held)
    assert {path.name for path in root.iterdir()} == {"1.2", ".partial-in-hand"}
    assert (in_hand / "map.dcm").read_bytes() == b"half"


def test_objects_of_the_same_name_are_both_written(package: Package, root: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "map.dcm").write_bytes(b"another map")
    other = replace(package.objects[0], path=tmp_path / "other" / "map.dcm", sop_instance_uid="1.2.3.5")
    Folder(name="share", root=root).deliver(replace(package, objects=(*package.objects, other)))
    written = everything(root)
    assert written["1.2/1-preliminary/dicom/map.dcm"] == b"a map"
    assert written["1.2/1-preliminary/dicom/1.2.3.5.dcm"] == b"another map"
