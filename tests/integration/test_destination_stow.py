"""Objects over STOW-RS: to a real archive, and to web servers that refuse, hang, break off or answer nonsense."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydicom
import pytest

from radiolucent.errors import FinalDelivery, RetriableDelivery
from radiolucent.results.destinations.http import HttpPeer
from radiolucent.results.destinations.package import Package, package_files
from radiolucent.results.destinations.presets import Preset, preset
from radiolucent.results.destinations.stow import Stow
from radiolucent.results.objects import encode_reading
from tests.integration.outgoing import Request, web

if TYPE_CHECKING:
    from tests.integration.peers import Orthanc


def _written(cases: Any, folder: Path, kind: str, **options: Any) -> Package:
    case = cases.make_case(kind, **options)
    paths = []
    for item in encode_reading(case.reading, case.stacks, case.pictures, made_at=cases.MADE_AT):
        paths.append(folder / f"{item.name}.dcm")
        item.dataset.save_as(paths[-1], enforce_file_format=True)
    return package_files(paths, study_instance_uid=case.reading.study_instance_uid)


@pytest.fixture(scope="module")
def package(cases: Any, tmp_path_factory: pytest.TempPathFactory) -> Package:
    return _written(cases, tmp_path_factory.mktemp("objects"), "cr", seed=11)


def uids(package: Package) -> set[str]:
    return {item.sop_instance_uid for item in package.objects}


def test_orthanc_takes_the_objects_over_stow(orthanc: Orthanc, cases: Any, tmp_path: Path) -> None:
    package = _written(cases, tmp_path, "mr", seed=12)
    peer = HttpPeer(name="archive", url=f"http://127.0.0.1:{orthanc.http_port}/dicom-web")
    first, second = Stow(peer=peer).deliver(package), Stow(peer=peer).deliver(package)
    assert first == second
    assert set(first.delivered) == uids(package)
    found = orthanc.ask(f"/dicom-web/studies/{package.study_instance_uid}/instances")
    assert {one["00080018"]["Value"][0] for one in found} == uids(package)


def answering(request: Request, *, status: int, reasons: Sequence[int]) -> tuple[int, dict[str, str], bytes]:
    """A STOW response about the objects in a request: a Failure Reason for each, 0 where it is stored."""
    stored, failed = [], []
    parts = request.body.split(b"\r\n\r\n")
    for part, reason in zip(parts[1:], reasons, strict=False):
        uid = str(pydicom.dcmread(io.BytesIO(part), stop_before_pixels=True).SOPInstanceUID)
        item = {"00081155": {"vr": "UI", "Value": [uid]}}
        if reason:
            failed.append({**item, "00081197": {"vr": "US", "Value": [reason]}})
        else:
            stored.append(item)
    body = {"00081199": {"vr": "SQ", "Value": stored}, "00081198": {"vr": "SQ", "Value": failed}}
    return status, {"Content-Type": "application/dicom+json"}, json.dumps(body).encode()


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [(202, 0xA700, RetriableDelivery), (202, 0xC000, FinalDelivery), (409, 0x0110, RetriableDelivery)],
)
def test_each_object_of_a_stow_answer_is_weighed(
    package: Package, status: int, reason: int, kind: type[Exception]
) -> None:
    one_by_one = preset("one-by-one")
    reasons = iter([reason] + [0] * 20)
    archive = web(lambda request: answering(request, status=status, reasons=[next(reasons)]))
    with archive as receiver, pytest.raises(kind) as caught:
        Stow(peer=HttpPeer(name="archive", url=receiver.url), preset=one_by_one).deliver(package)
    assert len(caught.value.delivered) == len(package.objects) - 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[1]", b'{"00081199": {"Value": [{}]}}'])
def test_a_stow_success_that_names_no_object_is_no_success(package: Package, body: bytes) -> None:
    with web(lambda _: (200, {}, body)) as receiver, pytest.raises(RetriableDelivery):
        Stow(peer=HttpPeer(name="archive", url=receiver.url)).deliver(package)


@pytest.mark.parametrize(
    ("mode", "status", "kind"),
    [
        ("hang", 0, RetriableDelivery),
        ("close", 0, RetriableDelivery),
        ("garbage", 0, RetriableDelivery),
        ("answer", 503, RetriableDelivery),
        ("answer", 400, FinalDelivery),
        ("answer", 401, FinalDelivery),
        ("answer", 415, FinalDelivery),
    ],
)
def test_a_stow_archive_that_misbehaves(package: Package, mode: str, status: int, kind: type[Exception]) -> None:
    with web(lambda _: (status, {}, b""), mode) as receiver, pytest.raises(kind):
        Stow(peer=HttpPeer(name="archive", url=receiver.url, timeout_s=1.0)).deliver(package)


def test_a_preset_that_stow_cannot_keep_is_refused_at_once() -> None:
    implicit: Preset = preset("implicit-only")
    with pytest.raises(ValueError, match="Explicit VR"):
        Stow(peer=HttpPeer(name="archive", url="http://x.example"), preset=implicit)
