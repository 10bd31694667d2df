"""Storage commitment: the peer promises to keep what it was sent (PS3.4 annex J), and says so when it is ready.

The report may come over the association that asked or, as most archives do it, over one that the archive opens.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Literal

from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from radiolucent.errors import SetupError
from radiolucent.results.destinations.package import DicomFile

PUSH_MODEL: Final = "1.2.840.10008.1.20.1"
"""SOP Class UID of the Storage Commitment Push Model (PS3.4 J.3)."""
_INSTANCE: Final = "1.2.840.10008.1.20.1.1"
_REQUEST: Final = 1  # Action Type ID, PS3.4 J.3.2
_SUCCESS: Final = 0x0000
_INVALID_ARGUMENT: Final = 0x0115


@dataclass(frozen=True, kw_only=True)
class Commitment:
    """How commitment is asked for.

    Parameters
    ----------
    need : ``try`` notes what comes, ``require`` counts a delivery only with it.
    wait_s : how long a report is waited for.
    report_port : port on which the peer's own association is awaited; None where only the asking one is used, or where
        another listener feeds the inbox.
    report_host : address that it binds.
    """

    need: Literal["try", "require"] = "try"
    wait_s: float = 20.0
    report_port: int | None = None
    report_host: str = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the peer says: SOP Instance UIDs it keeps, and those it doesn't with their Failure Reason."""

    committed: frozenset[str]
    failed: dict[str, int]


@dataclass
class Inbox:
    """Reports by Transaction UID; only those that are awaited are taken. Called from many threads at once."""

    _reports: dict[str, Report | None] = field(default_factory=dict)
    _change: threading.Condition = field(default_factory=threading.Condition)

    def expect(self, transaction_uid: str) -> None:
        """Take a report on this transaction from now on."""
        with self._change:
            self._reports[transaction_uid] = None

    def take(self, information: Dataset) -> int:
        """Keep a report; the DIMSE status that answers it."""
        uid = str(information.get("TransactionUID", ""))
        report = Report(
            committed=frozenset(str(item.ReferencedSOPInstanceUID) for item in _items(information, "Referenced")),
            failed={
                str(item.ReferencedSOPInstanceUID): int(item.get("FailureReason", 0x0110))
                for item in _items(information, "Failed")
            },
        )
        with self._change:
            if uid not in self._reports:
                return _INVALID_ARGUMENT
            self._reports[uid] = report
            self._change.notify_all()
        return _SUCCESS

    def wait(self, transaction_uid: str, timeout_s: float) -> Report | None:
        """The report, or None if it doesn't come in time; afterwards it is awaited no more."""
        with self._change:
            self._change.wait_for(lambda: self._reports.get(transaction_uid) is not None, timeout_s)
            return self._reports.pop(transaction_uid, None)

    def handlers(self) -> list[Any]:
        """Event handlers for an association or a server of pynetdicom."""

        def reported(event: Any) -> tuple[int, None]:
            try:
                return self.take(event.event_information), None
            except (AttributeError, ValueError, TypeError):
                return _INVALID_ARGUMENT, None

        return [(evt.EVT_N_EVENT_REPORT, reported)]


def request(transaction_uid: str, objects: Sequence[DicomFile], association: Any) -> int | None:
    """Ask over an established association; the status of the answer, None where none came."""
    wanted = Dataset()
    wanted.TransactionUID = transaction_uid
    wanted.ReferencedSOPSequence = [_reference(item) for item in objects]
    status, _ = association.send_n_action(wanted, _REQUEST, PUSH_MODEL, _INSTANCE)
    return int(status.Status) if "Status" in status else None


def awaiting(commitment: Commitment, inbox: Inbox, ae_title: str) -> AbstractContextManager[object]:
    """A listener for the peer's own association while the report is awaited, where a port is set.

    Raises
    ------
    SetupError
        If the port can't be had.
    """
    if commitment.report_port is None:
        return nullcontext()
    return _Listener(commitment.report_host, commitment.report_port, inbox, ae_title)


class _Listener:
    def __init__(self, host: str, port: int, inbox: Inbox, ae_title: str) -> None:
        entity = AE(ae_title=ae_title)
        entity.add_supported_context(PUSH_MODEL, scu_role=True, scp_role=True)
        try:
            self._server: Any = entity.start_server((host, port), block=False, evt_handlers=inbox.handlers())
        except OSError as error:
            raise SetupError(f"port {port} for storage commitment reports can't be used: {error.strerror}") from error

    def __enter__(self) -> _Listener:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()


def _items(information: Dataset, which: str) -> list[Dataset]:
    return list(information.get(f"{which}SOPSequence", None) or [])


def _reference(item: DicomFile) -> Dataset:
    made = Dataset()
    made.ReferencedSOPClassUID, made.ReferencedSOPInstanceUID = item.sop_class_uid, item.sop_instance_uid
    return made
