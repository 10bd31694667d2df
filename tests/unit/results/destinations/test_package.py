"""A package is one study's, holds each object once, lists key objects last, and has a key that follows from it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from radiolucent.errors import EncodingError
from radiolucent.results.destinations import Package
from radiolucent.results.destinations.package import DicomFile, dicom_file, package_files
from radiolucent.results.objects import encode_reading

if TYPE_CHECKING:
    from tests.unit.results.cases import Case


def item(uid: str, *, kind: str = "1.2.840.10008.5.1.4.1.1.7", study: str = "1.2") -> DicomFile:
    return DicomFile(
        path=Path(f"{uid}.dcm"),
        sop_class_uid=kind,
        sop_instance_uid=uid,
        study_instance_uid=study,
        series_instance_uid="1.2.3",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
    )


def test_encoded_objects_are_packed_with_their_kind_and_key_objects_last(
    make_case: Callable[..., "Case"], cases: Any, tmp_path: Path
) -> None:
    case = make_case("cr")
    for made in encode_reading(case.reading, case.stacks, case.pictures, made_at=cases.MADE_AT):
        made.dataset.save_as(tmp_path / f"{made.name}.dcm", enforce_file_format=True)
    package = package_files(tmp_path.iterdir(), study_instance_uid=case.reading.study_instance_uid)
    kinds = [one.kind for one in package.objects]
    assert kinds[-1] == "key-objects"
    assert set(kinds) == {
        "parametric-map",
        "segmentation",
        "secondary-capture",
        "presentation-state",
        "report",
        "key-objects",
    }
    again = package_files(sorted(tmp_path.iterdir()), study_instance_uid=case.reading.study_instance_uid)
    assert again == package
    assert again.key == package.key


def test_the_key_follows_from_everything_that_is_sent() -> None:
    package = Package(study_instance_uid="1.2", objects=(item("1"),), oru=b"MSH|", fhir="{}")
    others = [
        replace(package, revision=2),
        replace(package, status="withdrawn"),
        replace(package, objects=()),
        replace(package, oru=b""),
        replace(package, fhir=""),
    ]
    assert len({package.key, *(other.key for other in others)}) == 6


@pytest.mark.parametrize("objects", [(item("1"), item("1")), (item("1", study="1.9"),)])
def test_objects_of_another_study_or_twice_the_same_are_refused(objects: tuple[DicomFile, ...]) -> None:
    with pytest.raises(ValueError, match="object"):
        Package(study_instance_uid="1.2", objects=objects)


@pytest.mark.parametrize("uid", ["", "..", "1..2", "../1.2", "1." * 33, "1.2\n"])
def test_a_study_without_a_valid_uid_is_refused(uid: str) -> None:
    with pytest.raises(ValueError, match="no valid UID"):
        Package(study_instance_uid=uid)


def test_revisions_count_from_one() -> None:
    with pytest.raises(ValueError, match="count from 1"):
        Package(study_instance_uid="1.2", revision=0)


@pytest.mark.parametrize("content", [b"", b"no DICOM", b"\0" * 128 + b"DICM"])
def test_a_file_that_is_no_object_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.dcm").write_bytes(content)
    with pytest.raises(EncodingError, match="encode the reading again"):
        dicom_file(tmp_path / "broken.dcm")


def test_a_class_that_is_not_ours_has_no_kind() -> None:
    assert item("1", kind="1.2.840.10008.5.1.4.1.1.2").kind is None
