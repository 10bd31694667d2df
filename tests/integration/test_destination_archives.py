"""Objects over C-STORE: to real archives, and to peers that refuse, hang or break off; storage commitment."""

from __future__ import annotations

import io
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless
from pynetdicom import AE, evt

from radiolucent.errors import FinalDelivery, RetriableDelivery, SetupError
from radiolucent.imaging.uids import derived_uid
from radiolucent.results.destinations.commitment import PUSH_MODEL, Commitment, Inbox
from radiolucent.results.destinations.cstore import CStore, _Sent
from radiolucent.results.destinations.package import KINDS, Package, package_files
from radiolucent.results.destinations.presets import preset
from radiolucent.results.objects import encode_reading
from tests.integration.outgoing import free_port, hanging, saying

if TYPE_CHECKING:
    from tests.integration.peers import Orthanc

# pynetdicom leaves the socket of an association that broke off to the garbage collector
pytestmark = pytest.mark.filterwarnings(r"ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
PARAMETRIC_MAP = "1.2.840.10008.5.1.4.1.1.30"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@pytest.fixture(scope="session")
def package(cases: Any, tmp_path_factory: pytest.TempPathFactory) -> Package:
    return _written(cases, tmp_path_factory.mktemp("objects"), "cr", seed=11)


def _written(cases: Any, folder: Path, kind: str, **options: Any) -> Package:
    case = cases.make_case(kind, **options)
    paths = []
    for item in encode_reading(case.reading, case.stacks, case.pictures, made_at=cases.MADE_AT):
        paths.append(folder / f"{item.name}.dcm")
        item.dataset.save_as(paths[-1], enforce_file_format=True)
    return package_files(paths, study_instance_uid=case.reading.study_instance_uid)


def uids(package: Package) -> set[str]:
    return {item.sop_instance_uid for item in package.objects}


@dataclass
class Pacs:
    """A storage SCP whose answers are a script: a status for each object in turn, then success."""

    statuses: list[int] = field(default_factory=list)
    mode: str = "answer"
    kept: dict[str, str] = field(default_factory=dict)  # SOP Instance UID → transfer syntax
    datasets: dict[str, bytes] = field(default_factory=dict)
    associations: int = 0
    times: int = 0
    port: int = 0

    def store(self, event: Any) -> int:
        self.times += 1
        if self.mode == "hang":
            time.sleep(3)
        if self.mode == "abort" and self.times == 3:
            event.assoc.abort()
            return 0x0000
        status = self.statuses.pop(0) if self.statuses else 0x0000
        if status in (0x0000, 0xB000):
            uid = str(event.request.AffectedSOPInstanceUID)
            self.kept[uid] = str(event.context.transfer_syntax)
            self.datasets[uid] = event.encoded_dataset()
        return status

    def accepted(self, event: Any) -> None:
        self.associations += 1


@contextmanager
def pacs(
    mode: str = "answer",
    *,
    statuses: Sequence[int] = (),
    classes: Sequence[str] = tuple(KINDS),
    syntaxes: Sequence[str] = (ExplicitVRLittleEndian, ImplicitVRLittleEndian),
    ae_title: str = "PACS",
    configure: Callable[[AE], None] = lambda entity: None,
    handlers: Sequence[Any] = (),
) -> Iterator[Pacs]:
    state = Pacs(statuses=list(statuses), mode=mode)
    entity = AE(ae_title=ae_title)
    for sop_class in classes:
        entity.add_supported_context(sop_class, list(syntaxes))
    configure(entity)
    bound = [(evt.EVT_C_STORE, state.store), (evt.EVT_ACCEPTED, state.accepted), *handlers]
    server: Any = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=bound)
    state.port = server.server_address[1]
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


def cstore(port: int, **options: Any) -> CStore:
    return CStore(name="pacs", host="127.0.0.1", port=port, called_ae="PACS", **{"timeout_s": 20.0, **options})


def test_every_object_arrives_once_however_often_it_is_sent(package: Package) -> None:
    with pacs() as peer:
        first, second = cstore(peer.port).deliver(package), cstore(peer.port).deliver(package)
    assert first == second
    assert set(first.delivered) == set(peer.kept) == uids(package)
    assert peer.times == 2 * len(package.objects)
    assert peer.associations == 2
    assert first.left_out == {}


def test_an_attempt_that_broke_off_is_completed_by_the_next(package: Package) -> None:
    with pacs("abort") as peer:
        with pytest.raises(RetriableDelivery) as caught:
            cstore(peer.port).deliver(package)
        assert len(caught.value.delivered) == 2
        peer.mode = "answer"
        receipt = cstore(peer.port).deliver(package)
    assert set(receipt.delivered) == set(peer.kept) == uids(package)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(0xA700, RetriableDelivery), (0x0110, RetriableDelivery), (0xC000, FinalDelivery), (0x0122, FinalDelivery)],
)
def test_a_refused_object_does_not_keep_the_others_back(package: Package, status: int, kind: type[Exception]) -> None:
    with pacs(statuses=[0x0000, status]) as peer, pytest.raises(kind) as caught:
        cstore(peer.port).deliver(package)
    assert len(peer.kept) == len(package.objects) - 1
    assert f"0x{status:04X}" in str(caught.value)
    assert set(caught.value.delivered) == set(peer.kept)  # type: ignore[attr-defined]


def test_what_may_pass_is_tried_again_before_a_person_is_called(package: Package) -> None:
    with pacs(statuses=[0xC000, 0xA700]) as peer, pytest.raises(RetriableDelivery):
        cstore(peer.port).deliver(package)


def test_a_warning_or_a_duplicate_counts_as_delivered(package: Package) -> None:
    with pacs(statuses=[0xB000, 0x0111]) as peer:
        receipt = cstore(peer.port).deliver(package)
    assert set(receipt.delivered) == uids(package)
    assert len(receipt.warnings) == 2


def test_a_peer_that_hangs_or_speaks_another_protocol_is_tried_again(package: Package) -> None:
    with pacs("hang") as peer, pytest.raises(RetriableDelivery, match="no answer"):
        cstore(peer.port, timeout_s=1.0).deliver(package)
    with hanging() as port, pytest.raises(RetriableDelivery):
        cstore(port, timeout_s=1.0).deliver(package)
    with saying(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port, pytest.raises(RetriableDelivery):
        cstore(port, timeout_s=2.0).deliver(package)
    with pytest.raises(RetriableDelivery):
        cstore(free_port()).deliver(package)


def test_a_peer_that_does_not_know_us_is_a_matter_for_a_person(package: Package) -> None:
    def strict(entity: AE) -> None:
        entity.require_called_aet = True

    def knowing_others(entity: AE) -> None:
        entity.require_calling_aet = ["SOMEONE"]

    with pacs(ae_title="OTHER", configure=strict) as peer, pytest.raises(FinalDelivery, match="isn't called PACS"):
        cstore(peer.port).deliver(package)
    with pacs(configure=knowing_others) as peer, pytest.raises(FinalDelivery, match="add this AE title"):
        cstore(peer.port).deliver(package)


def test_a_busy_peer_is_tried_again(package: Package) -> None:
    def narrow(entity: AE) -> None:
        entity.maximum_associations = 1

    other = AE()
    other.add_requested_context(SECONDARY_CAPTURE)
    with pacs(configure=narrow) as peer:
        first = other.associate("127.0.0.1", peer.port, ae_title="PACS")
        assert first.is_established
        with pytest.raises(RetriableDelivery, match="for now"):
            cstore(peer.port).deliver(package)
        first.release()
    assert peer.kept == {}


def test_small_messages_are_not_held_back_by_the_network(package: Package) -> None:
    """Nagle's algorithm and delayed acknowledgements together cost 0.1 s for each object."""
    held_back: list[int] = []

    def connected(event: Any) -> None:
        link = event.assoc.dul.socket.socket
        held_back.append(1 - min(1, link.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))

    with pacs() as peer:
        sender, sent = cstore(peer.port), _Sent("pacs")
        entity = AE(ae_title="RADIOLUCENT")
        entity.add_requested_context(package.objects[0].sop_class_uid)
        sender._connect(entity, sent, [(evt.EVT_CONN_OPEN, connected)]).release()

    assert held_back == [0]


def test_a_class_that_the_peer_lacks_is_named(package: Package) -> None:
    others = [sop_class for sop_class in KINDS if sop_class != PARAMETRIC_MAP]
    with pacs(classes=others) as peer, pytest.raises(FinalDelivery, match="parametric-map"):
        cstore(peer.port).deliver(package)
    assert len(peer.kept) == len(package.objects) - 1
    with pacs(classes=["1.2.840.10008.5.1.4.1.1.2"]) as peer, pytest.raises(FinalDelivery, match="none of the storage"):
        cstore(peer.port).deliver(package)


def test_captures_only_sends_captures_and_says_what_it_leaves_out(package: Package) -> None:
    with pacs(classes=[SECONDARY_CAPTURE]) as peer:
        receipt = cstore(peer.port, preset=preset("captures-only")).deliver(package)
    assert {item.kind for item in package.objects if item.sop_instance_uid in peer.kept} == {"secondary-capture"}
    assert set(receipt.left_out) == uids(package) - set(peer.kept)


def test_one_association_for_each_object_where_a_pacs_wants_that(package: Package) -> None:
    with pacs() as peer:
        cstore(peer.port, preset=preset("one-by-one")).deliver(package)
    assert peer.associations == len(package.objects)


def test_captures_are_compressed_without_loss_and_without_a_new_uid(package: Package) -> None:
    with pacs(syntaxes=[RLELossless, ExplicitVRLittleEndian]) as peer:
        cstore(peer.port, preset=preset("compressed-captures")).deliver(package)
    for item in package.objects:
        expected = RLELossless if item.kind == "secondary-capture" else ExplicitVRLittleEndian
        assert peer.kept[item.sop_instance_uid] == expected
        if item.kind == "secondary-capture":
            back = pydicom.dcmread(io.BytesIO(peer.datasets[item.sop_instance_uid]))
            assert (back.pixel_array == pydicom.dcmread(item.path).pixel_array).all()


def test_a_pacs_with_implicit_vr_alone_gets_the_same_objects(package: Package) -> None:
    with pacs(syntaxes=[ImplicitVRLittleEndian]) as peer:
        cstore(peer.port).deliver(package)
    assert set(peer.kept.values()) == {ImplicitVRLittleEndian}
    for item in package.objects:
        buffer, sent = io.BytesIO(), pydicom.dcmread(item.path)
        sent.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        sent.save_as(buffer, enforce_file_format=True)
        expected = pydicom.dcmread(io.BytesIO(buffer.getvalue()))
        assert pydicom.dcmread(io.BytesIO(peer.datasets[item.sop_instance_uid])) == expected


def test_files_that_changed_or_vanished_are_not_sent(package: Package, tmp_path: Path) -> None:
    first, second = package.objects[:2]
    swapped = replace(package, objects=(replace(first, path=second.path),))
    gone = replace(package, objects=(replace(first, path=tmp_path / "gone.dcm"),))
    with pacs() as peer:
        for broken in (swapped, gone):
            with pytest.raises(FinalDelivery, match="encode the reading again"):
                cstore(peer.port).deliver(broken)
    assert peer.kept == {}


def committing(state: str, port: int) -> tuple[Callable[[AE], None], Sequence[Any]]:
    """A peer that reports over an association of its own: what it keeps, in the way that `state` says."""

    def configure(entity: AE) -> None:
        entity.add_supported_context(PUSH_MODEL)

    def asked(event: Any) -> tuple[int, None]:
        information = event.action_information
        report = pydicom.Dataset()
        report.TransactionUID = information.TransactionUID
        items = list(information.ReferencedSOPSequence)
        if state == "fails":
            items[0].FailureReason = 0x0112
            report.FailedSOPSequence, items = items[:1], items[1:]
        report.ReferencedSOPSequence = items
        if state == "other":
            report.TransactionUID = derived_uid("another transaction")
        if state != "silent":
            _report(report, port, 2 if state == "fails" else 1)
        return 0x0000, None

    return configure, [(evt.EVT_N_ACTION, asked)]


def _report(report: pydicom.Dataset, port: int, kind: int) -> None:
    from pynetdicom import build_role

    entity = AE(ae_title="PACS")
    entity.add_requested_context(PUSH_MODEL)
    role = build_role(PUSH_MODEL, scu_role=False, scp_role=True)
    association = entity.associate("127.0.0.1", port, ae_title="RADIOLUCENT", ext_neg=[role])
    assert association.is_established
    association.send_n_event_report(report, kind, PUSH_MODEL, "1.2.840.10008.1.20.1.1")
    association.release()


@pytest.mark.parametrize(
    ("state", "need", "expected"),
    [
        ("keeps", "require", "committed"),
        ("keeps", "try", "committed"),
        ("fails", "try", RetriableDelivery),
        ("silent", "try", "unknown"),
        ("silent", "require", RetriableDelivery),
        ("other", "require", RetriableDelivery),
        ("not offered", "try", "not-asked"),
        ("not offered", "require", FinalDelivery),
    ],
)
def test_commitment_counts_as_it_was_wanted(package: Package, state: str, need: Any, expected: Any) -> None:
    port = free_port()
    configure, handlers = committing(state, port)
    options: dict[str, Any] = {} if state == "not offered" else {"configure": configure, "handlers": handlers}
    wait = 20.0 if state in ("keeps", "fails") else 0.5
    with pacs(**options) as peer:
        sender = cstore(peer.port, commitment=Commitment(need=need, wait_s=wait, report_port=port))
        if isinstance(expected, str):
            assert sender.deliver(package).commitment == expected
        else:
            with pytest.raises(expected):
                sender.deliver(package)
    assert set(peer.kept) == uids(package)


def test_a_port_that_is_taken_is_a_matter_of_setup(package: Package) -> None:
    with pacs() as peer, hanging() as port, pytest.raises(SetupError, match="can't be used"):
        cstore(peer.port, commitment=Commitment(report_port=port)).deliver(package)


def test_a_report_that_nobody_awaits_or_understands_is_refused() -> None:
    inbox = Inbox()
    report = pydicom.Dataset()
    report.TransactionUID = "1.2.3"
    assert inbox.take(report) == 0x0115
    inbox.expect("1.2.3")
    assert inbox.take(report) == 0x0000
    found = inbox.wait("1.2.3", 0)
    assert found is not None
    assert found.committed == frozenset()
    assert inbox.take(report) == 0x0115


@contextmanager
def storescp(folder: Path) -> Iterator[int]:
    program = shutil.which("storescp")
    if program is None:
        pytest.skip("needs DCMTK: run scripts/install-peers")
    port = free_port()
    process = subprocess.Popen([program, "-od", str(folder), "-aet", "PACS", "+xa", str(port)])
    try:
        deadline = time.monotonic() + 20
        entity = AE()
        entity.add_requested_context("1.2.840.10008.1.1")
        while time.monotonic() < deadline:
            association = entity.associate("127.0.0.1", port, ae_title="PACS")
            if association.is_established:
                association.release()
                break
            time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=20)


def test_dcmtk_keeps_what_it_was_sent(package: Package, tmp_path: Path) -> None:
    with storescp(tmp_path) as port:
        receipt = cstore(port).deliver(package)
    kept = {str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in tmp_path.iterdir()}
    # DCMTK 3.6.7 +xa takes every storage class that it knows
    assert kept == set(receipt.delivered) == uids(package)


def test_orthanc_stores_and_commits(orthanc: Orthanc, package: Package) -> None:
    sender = CStore(
        name="pacs",
        host="127.0.0.1",
        port=orthanc.dicom_port,
        called_ae="ORTHANC",
        commitment=Commitment(need="require", wait_s=30.0, report_port=orthanc.our_port),
    )
    receipt = sender.deliver(package)
    assert receipt.commitment == "committed"
    assert set(receipt.delivered) == uids(package)
