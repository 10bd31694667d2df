"""Results to a PACS over C-STORE: contexts by preference, each status weighed, storage commitment on request."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import pydicom
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from radiolucent.association import keep_answers
from radiolucent.errors import FinalDelivery, RetriableDelivery
from radiolucent.imaging.uids import derived_uid
from radiolucent.results.destinations.commitment import PUSH_MODEL, Commitment, Inbox, awaiting, request
from radiolucent.results.destinations.package import DicomFile, Package, Receipt
from radiolucent.results.destinations.presets import RLE, Preset, preset, select
from radiolucent.results.destinations.statuses import commitment_reason, store_status

_TRANSIENT: Final = 2  # A-ASSOCIATE-RJ Result, PS3.8 9.3.4
_CALLED_NOT_KNOWN: Final = (1, 7)  # source, reason: called AE title not recognized
_CALLING_NOT_KNOWN: Final = (1, 3)


@dataclass(frozen=True, kw_only=True)
class CStore:
    """A PACS that takes objects over DICOM.

    Parameters
    ----------
    preset : what it takes (`presets.preset`).
    timeout_s : for connecting, negotiating and each answer, in s.
    tls : context with the client's certificate, or None for a plain connection.
    commitment : how storage commitment is asked for, or None.
    inbox : where reports of commitment arrive; shared with a listener that runs all the time, where there is one.
    """

    name: str
    host: str
    port: int
    called_ae: str
    calling_ae: str = "RADIOLUCENT"
    preset: Preset = field(default_factory=lambda: preset("everything"))
    timeout_s: float = 30.0
    tls: ssl.SSLContext | None = None
    commitment: Commitment | None = None
    inbox: Inbox = field(default_factory=Inbox, compare=False)

    def deliver(self, package: Package) -> Receipt:
        """Store each object under its own UID, then ask for commitment.

        Raises
        ------
        RetriableDelivery
            If the peer is away, busy, silent, breaks off or answers out of turn; `delivered` names what it has.
        FinalDelivery
            If it refuses the association or an object for good.
        SetupError
            If the port for commitment reports can't be had.
        """
        chosen = select(package, self.preset)
        sent = _Sent(self.name)
        shared = self.preset.association == "shared"
        groups = [chosen.objects] if shared else [(item,) for item in chosen.objects]
        for group in groups:
            if group:
                with self._association(group, sent) as association:
                    for item in group:
                        self._store(association, item, sent)
        sent.judge()
        commitment: Literal["committed", "unknown", "not-asked"] = "not-asked"
        if self.commitment is not None and chosen.objects:
            commitment = self._commit(package, chosen.objects, sent, self.commitment)
        return Receipt(
            destination=self.name,
            delivered=tuple(sent.delivered),
            left_out=chosen.left_out,
            warnings=tuple(sent.warnings),
            commitment=commitment,
        )

    def _entity(self) -> AE:
        entity = AE(ae_title=self.calling_ae)
        entity.connection_timeout = entity.acse_timeout = self.timeout_s
        entity.dimse_timeout = entity.network_timeout = self.timeout_s
        return entity

    @contextmanager
    def _association(self, objects: Sequence[DicomFile], sent: _Sent) -> Iterator[Any]:
        entity = self._entity()
        for sop_class in dict.fromkeys(item.sop_class_uid for item in objects):
            capture = any(item.kind == "secondary-capture" for item in objects if item.sop_class_uid == sop_class)
            for syntax in self.preset.transfer_syntaxes:
                if syntax != RLE or capture:
                    entity.add_requested_context(sop_class, syntax)
        association = self._connect(entity, sent)
        try:
            yield association
        finally:
            if association.is_established:
                association.release()

    def _connect(self, entity: AE, sent: _Sent, handlers: Sequence[Any] = ()) -> Any:
        tls = (self.tls, self.host) if self.tls else None
        try:
            association = entity.associate(
                self.host,
                self.port,
                ae_title=self.called_ae,
                tls_args=tls,
                evt_handlers=[(evt.EVT_CONN_OPEN, _answer_at_once), *handlers],
            )
        except (OSError, RuntimeError) as error:
            raise sent.retriable(f"no connection: {type(error).__name__}; see whether it runs") from error
        if association.is_established:
            keep_answers(association)
            return association
        if association.is_rejected:
            raise self._rejection(association, sent)
        if association.rejected_contexts and not association.accepted_contexts:
            raise sent.final("it accepts none of the storage classes offered: choose another preset")
        raise sent.retriable("no association: it is down, doesn't answer, or broke off; see whether it runs")

    def _rejection(self, association: Any, sent: _Sent) -> RetriableDelivery | FinalDelivery:
        answer = association.acceptor.primitive
        why = (int(answer.result_source), int(answer.diagnostic))
        if int(answer.result) == _TRANSIENT:
            return sent.retriable(f"it rejects associations for now (source {why[0]}, reason {why[1]})")
        if why == _CALLED_NOT_KNOWN:
            return sent.final(f"it isn't called {self.called_ae}: set its AE title")
        if why == _CALLING_NOT_KNOWN:
            return sent.final(f"it doesn't know {self.calling_ae}: add this AE title there")
        return sent.final(f"it rejects associations for good (source {why[0]}, reason {why[1]})")

    def _store(self, association: Any, item: DicomFile, sent: _Sent) -> None:
        accepted = {
            str(context.transfer_syntax[0])
            for context in association.accepted_contexts
            if context.abstract_syntax == item.sop_class_uid
        }
        wanted = [syntax for syntax in self.preset.transfer_syntaxes if syntax in accepted]
        if not association.is_established:
            raise sent.retriable("the association broke off between two objects")
        if not wanted:
            sent.refuse(item, "final", "no transfer syntax was agreed for its class: choose another preset")
            return
        dataset = _as_syntax(self._read(item, sent), wanted[0])
        try:
            answer = association.send_c_store(dataset)
        except (RuntimeError, OSError) as error:
            raise sent.retriable(f"the association broke off ({type(error).__name__})") from error
        except (ValueError, AttributeError, KeyError) as error:
            sent.refuse(item, "final", f"it can't be encoded for this peer ({type(error).__name__})")
            return
        if "Status" not in answer:
            association.abort()
            raise sent.retriable("no answer to an object: it hangs or broke off")
        sent.weigh(item, int(answer.Status))

    def _read(self, item: DicomFile, sent: _Sent) -> Dataset:
        try:
            dataset = pydicom.dcmread(item.path)
        except (OSError, pydicom.errors.InvalidDicomError) as error:
            raise sent.final("the encoded objects are gone from disk: encode the reading again") from error
        if str(dataset.get("SOPInstanceUID", "")) != item.sop_instance_uid:
            raise sent.final("a file holds another object than its package says: encode the reading again")
        return dataset

    def _commit(
        self, package: Package, objects: Sequence[DicomFile], sent: _Sent, wanted: Commitment
    ) -> Literal["committed", "unknown", "not-asked"]:
        """Ask, and wait for the report over either association."""
        transaction = derived_uid("commitment", self.name, package.key)
        entity = self._entity()
        entity.add_requested_context(PUSH_MODEL, list(self.preset.transfer_syntaxes[-1:]))
        self.inbox.expect(transaction)
        with awaiting(wanted, self.inbox, self.calling_ae):
            try:
                association = self._connect(entity, sent, self.inbox.handlers())
            except (FinalDelivery, RetriableDelivery):
                self.inbox.wait(transaction, 0)
                return _without(wanted, sent, "not-asked", "it offers no storage commitment: don't require it")
            try:
                status = request(transaction, objects, association)
                report = self.inbox.wait(transaction, wanted.wait_s if status == 0 else 0)
            except (RuntimeError, ValueError, OSError):
                status, report = None, None
            finally:
                if association.is_established:
                    association.release()
        if report is None:
            return _without(wanted, sent, "unknown", "no report of storage commitment came in time")
        missing = [item for item in objects if item.sop_instance_uid not in report.committed]
        for item in missing:
            sent.delivered.remove(item.sop_instance_uid)
            meaning, words = commitment_reason(report.failed.get(item.sop_instance_uid, 0x0110))
            sent.refuse(item, meaning, f"not committed, {words}")
        sent.judge()
        return "committed"


def _answer_at_once(event: Any) -> None:
    """Keep the network from waiting: without this each object costs 0.1 s more, whatever its size.

    A DIMSE message is a small PDU and then the next; Nagle's algorithm holds the second back until the first is
    acknowledged (RFC 896), and the system delays that acknowledgement (RFC 1122, 4.2.3.2). The peer's answer comes in
    two parts as well, so each part read is acknowledged at once where the system can be told so (Linux).
    """
    link = event.assoc.dul.socket
    link.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    at_once, read = getattr(socket, "TCP_QUICKACK", None), link.recv
    if at_once is None:
        return

    def receive(size: int) -> bytearray:
        link.socket.setsockopt(socket.IPPROTO_TCP, at_once, 1)  # holds until the next answer alone
        received: bytearray = read(size)
        return received

    link.recv = receive


def _without(
    wanted: Commitment, sent: _Sent, state: Literal["unknown", "not-asked"], why: str
) -> Literal["unknown", "not-asked"]:
    if wanted.need == "require":
        raise sent.final(why) if state == "not-asked" else sent.retriable(why)
    sent.warnings.append(why)
    return state


def _as_syntax(dataset: Dataset, syntax: str) -> Dataset:
    """Compress a capture where RLE was agreed; between implicit and explicit VR the network library converts."""
    if syntax == RLE and "PixelData" in dataset:
        dataset.compress(RLE, generate_instance_uid=False)  # lossless: it stays the same instance (PS3.4 B.4.1.3)
    return dataset


@dataclass
class _Sent:
    """What became of each object of one attempt."""

    destination: str
    delivered: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    refused: dict[str, list[str]] = field(default_factory=dict)

    def weigh(self, item: DicomFile, status: int) -> None:
        meaning, words = store_status(status)
        if meaning == "delivered":
            self.delivered.append(item.sop_instance_uid)
            if status:
                self.warnings.append(f"{item.kind or 'object'}: {words} (0x{status:04X})")
        else:
            self.refuse(item, meaning, f"{words} (0x{status:04X})")

    def refuse(self, item: DicomFile, meaning: str, why: str) -> None:
        self.refused.setdefault(meaning, []).append(f"{item.kind or item.sop_class_uid}: {why}")

    def judge(self) -> None:
        """Raise if anything was refused; what may still succeed is tried again before a person is called."""
        if why := self.refused.get("retriable"):
            raise self.retriable("; ".join(dict.fromkeys(why)))
        if why := self.refused.get("final"):
            raise self.final("; ".join(dict.fromkeys(why)))

    def retriable(self, reason: str) -> RetriableDelivery:
        return RetriableDelivery(reason, destination=self.destination, delivered=tuple(self.delivered))

    def final(self, reason: str) -> FinalDelivery:
        return FinalDelivery(reason, destination=self.destination, delivered=tuple(self.delivered))
