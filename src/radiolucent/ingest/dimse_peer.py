"""A DICOM peer that is asked: its address, and an association with it that always ends."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from pydicom.dataset import Dataset
from pynetdicom import AE, _config
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext

from radiolucent.association import keep_answers
from radiolucent.errors import QueryFailed

# identifiers of queries and answers are patients': they belong into no log
_config.LOG_HANDLER_LEVEL = "none"
_config.LOG_REQUEST_IDENTIFIERS = False
_config.LOG_RESPONSE_IDENTIFIERS = False

_PENDING: Final = (0xFF00, 0xFF01)
_SUCCESS: Final = 0x0000


@dataclass(frozen=True, kw_only=True)
class DimsePeer:
    """Where a DICOM server is and by which names it is called.

    Parameters
    ----------
    name : for logs and rows.
    timeout_s : for connecting and for each answer.
    tls : context of a client, or None without TLS.
    """

    name: str
    host: str
    port: int
    called_ae: str
    calling_ae: str = "RADIOLUCENT"
    timeout_s: float = 30.0
    tls: ssl.SSLContext | None = None


@contextmanager
def associated(
    peer: DimsePeer,
    contexts: Sequence[PresentationContext],
    *,
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
    handlers: Sequence[tuple[Any, Callable[..., Any]]] = (),
) -> Iterator[Association]:
    """An association, released at the end of the block and aborted where the block raises.

    Raises
    ------
    QueryFailed
        If it can't be established.
    """
    ours = AE(ae_title=peer.calling_ae)
    ours.acse_timeout = ours.dimse_timeout = ours.network_timeout = ours.connection_timeout = peer.timeout_s
    association = ours.associate(
        peer.host,
        peer.port,
        contexts=list(contexts),
        ae_title=peer.called_ae,
        ext_neg=list(roles) or None,
        evt_handlers=list(handlers) or None,
        tls_args=(peer.tls, peer.host) if peer.tls else None,
    )
    if not association.is_established:
        why = "rejects our association" if association.is_rejected else "doesn't answer"
        raise QueryFailed(f"{peer.name} {why}: check its address, its AE title and whether it knows ours")
    keep_answers(association)
    try:
        yield association
    except BaseException:
        association.abort()
        raise
    association.release()


def answers(peer: DimsePeer, found: Iterator[tuple[Dataset, Dataset | None]], *, limit: int) -> list[Dataset]:
    """Identifiers of a C-FIND's answers, `limit` at most.

    Raises
    ------
    QueryFailed
        If the peer stops answering or ends with another status than success.
    """
    matches: list[Dataset] = []
    for status, identifier in found:
        code = status.get("Status")
        if code in _PENDING and identifier is not None:
            matches.append(identifier)
            if len(matches) >= limit:
                return matches
        elif code != _SUCCESS:
            raise QueryFailed(f"{peer.name} ended a query with {said(status)}")
    return matches


def said(status: Dataset) -> str:
    """A response's status for a message: the number, never the comment, which may name a patient."""
    code = status.get("Status")
    return "no answer" if code is None else f"status 0x{code:04X}"
