"""Is a node there, and does it know us? C-ECHO, a request, a connection, a folder: each with the reason it gave."""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pynetdicom import AE

from radiolucent.association import keep_answers
from radiolucent.errors import DeliveryError, FinalDelivery, RetriableDelivery
from radiolucent.results.destinations.http import HttpPeer

VERIFICATION: Final = "1.2.840.10008.1.1"  # PS3.4 annex A: C-ECHO
# a connection closed right behind a rejection can take it along: then it is asked for again
_TRIES: Final = 2
_UNKNOWN: Final = {(1, 7): "it isn't called by this AE title", (1, 3): "it doesn't know our AE title: add it there"}
"""Source and reason of a rejection (PS3.8 9.3.4)."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of asking: `reason` is what the node said, or why there was no answer. It names no patient."""

    answered: bool
    reason: str
    seconds: float


def timed(ask: Callable[[], str]) -> Answer:
    """Ask, and take the time; whatever the node does, there is an answer with its reason."""
    start = time.monotonic()
    try:
        reason, answered = ask(), True
    except (DeliveryError, OSError, ValueError) as error:
        reason, answered = str(error) or type(error).__name__, False
    return Answer(answered=answered, reason=reason, seconds=time.monotonic() - start)


def echo(
    host: str,
    port: int,
    *,
    called_ae: str,
    calling_ae: str,
    timeout_s: float,
    tls: ssl.SSLContext | None = None,
) -> str:
    """C-ECHO; gives what was said.

    Raises
    ------
    RetriableDelivery
        If there is no connection, or no answer in time.
    FinalDelivery
        If it refuses the association, doesn't offer verification, or answers with a failure.
    """
    try:
        connection(host, port, timeout_s=timeout_s)
    except OSError as error:
        raise RetriableDelivery(f"no connection: {error.strerror or error}", destination=called_ae) from error
    ours = AE(ae_title=calling_ae)
    ours.acse_timeout = ours.dimse_timeout = ours.network_timeout = ours.connection_timeout = timeout_s
    ours.add_requested_context(VERIFICATION)
    try:
        start = time.monotonic()
        for _ in range(_TRIES):
            association = ours.associate(host, port, ae_title=called_ae, tls_args=(tls, host) if tls else None)
            answered = association.is_established or association.is_rejected or association.rejected_contexts
            # a node that hangs is not waited for twice
            if answered or time.monotonic() - start > timeout_s / 2:
                break
    except (OSError, RuntimeError) as error:
        raise RetriableDelivery(f"no connection: {type(error).__name__}", destination=called_ae) from error
    try:
        if association.is_rejected:
            answer: Any = association.acceptor.primitive
            why = (int(answer.result_source), int(answer.diagnostic))
            words = _UNKNOWN.get(why, f"it rejects associations (source {why[0]}, reason {why[1]})")
            raise FinalDelivery(words, destination=called_ae)
        if not association.is_established:
            if association.rejected_contexts and not association.accepted_contexts:
                raise FinalDelivery("it takes associations, but no verification", destination=called_ae)
            raise RetriableDelivery("no association: it is down or doesn't answer", destination=called_ae)
        keep_answers(association)
        code = association.send_c_echo().get("Status")
    finally:
        if association.is_established:
            association.release()
    if code is None:
        raise RetriableDelivery("it took the association, but gave no answer to C-ECHO", destination=called_ae)
    if code != 0x0000:
        raise FinalDelivery(f"it answered C-ECHO with status 0x{code:04X}", destination=called_ae)
    return "answered C-ECHO with status 0x0000"


def http(peer: HttpPeer, path: str) -> str:
    """One GET; gives the status.

    Raises
    ------
    RetriableDelivery
        If there is no answer.
    FinalDelivery
        If it answers that we may not, or that there is no such place.
    """
    status = peer.request("GET", path, headers={"Accept": "application/json"}).status
    if status in (401, 403):
        raise FinalDelivery(f"it answered {status}: it doesn't accept our token", destination=peer.name)
    if status >= 400:
        raise FinalDelivery(f"it answered {status}", destination=peer.name)
    return f"answered {status}"


def connection(host: str, port: int, *, timeout_s: float, tls: ssl.SSLContext | None = None) -> str:
    """A TCP connection, with its TLS; more can't be asked of a receiver of messages without sending one.

    Raises
    ------
    OSError
        If it can't be had.
    """
    with socket.create_connection((host, port), timeout=timeout_s) as plain:
        if tls is None:
            return "takes connections"
        with tls.wrap_socket(plain, server_hostname=host) as secure:
            return f"takes connections, {secure.version()}"


def writable(folder: Path) -> str:
    """Whether results can be written.

    Raises
    ------
    OSError
        If the folder isn't there or can't be written.
    """
    if not folder.is_dir():
        raise FileNotFoundError("the folder isn't there")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError("the folder can't be written")
    return "can be written"
