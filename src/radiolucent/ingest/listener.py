"""The Storage SCP: listens for associations, gives each a thread within its limits, and stops cleanly.

>>> Terms(ae_title="RADIOLUCENT", calling_ae_titles=frozenset({"CT1"})).maximum_pdu_bytes
131072
"""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Final, Self

from radiolucent.errors import ListenerFailed
from radiolucent.ingest.association import Association, Terms
from radiolucent.ingest.receiving import Receiver
from radiolucent.ingest.spool import Spool

__all__ = ["Listener", "Terms", "tls_context"]

LOG: Final = logging.getLogger(__name__)
_WAITING: Final = 128
_SPARE_CONNECTIONS: Final = 32
"""Connections beyond the limit of associations that are still told why they are refused."""
_OUT_OF_FILES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Listener:
    """A DICOM server for C-ECHO and C-STORE.

    Parameters
    ----------
    receiver : keeps what arrives; called from many threads.
    spool : where objects are written while they arrive; on the archive's disk.
    terms : who may call, and the limits of one association.
    host, port : to listen on; port 0 takes a free one, see `address`.
    maximum_associations : at once; the next ones are rejected (local limit exceeded, transient).
    tls : from `tls_context`; None listens without TLS.
    """

    def __init__(
        self,
        receiver: Receiver,
        spool: Spool,
        *,
        terms: Terms,
        host: str = "127.0.0.1",
        port: int = 0,
        maximum_associations: int = 200,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._receiver, self._spool, self._terms = receiver, spool, terms
        self._host, self._port, self._tls = host, port, tls
        self._maximum = maximum_associations
        self._lock = threading.Lock()
        self._threads: dict[Association, threading.Thread] = {}
        self._admitted = 0
        self._server: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._stopping = threading.Event()

    def __enter__(self) -> Self:
        """Start, and stop at the end of the block."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that it listens on.

        Raises
        ------
        ListenerFailed
            If it isn't started.
        """
        if self._server is None:
            raise ListenerFailed("the listener isn't started")
        host, port = self._server.getsockname()[:2]
        return str(host), int(port)

    @property
    def is_listening(self) -> bool:
        """Whether new associations are taken."""
        return self._server is not None and not self._stopping.is_set()

    @property
    def active_associations(self) -> int:
        """How many associations are established now."""
        return self._admitted

    def start(self) -> None:
        """Listen. What an earlier process left half-received is removed first.

        Raises
        ------
        ListenerFailed
            If the address can't be listened on.
        """
        left = self._spool.clear()
        if left:
            LOG.warning("%d half-received files of an earlier process were removed", left)
        try:
            family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
            self._server = socket.create_server((self._host, self._port), family=family, backlog=_WAITING)
        except OSError as error:
            raise ListenerFailed(
                f"can't listen on {self._host}:{self._port} ({error.strerror}): choose another address or port"
            ) from error
        self._stopping.clear()
        self._acceptor = threading.Thread(target=self._accept, name="dicom-listener", daemon=True)
        self._acceptor.start()

    def stop(self, grace_s: float = 10.0) -> None:
        """Take no more associations, let the objects under way be finished for `grace_s` seconds, end the rest.

        An object whose sender was not answered is not kept; its sender knows and sends it again.
        """
        self._stopping.set()
        if self._server is not None:
            with contextlib.suppress(OSError):
                self._server.shutdown(socket.SHUT_RDWR)
            self._server.close()
            self._server = None
        if self._acceptor is not None:
            self._acceptor.join()
        for association in self._running():
            association.stop()
        self._join(grace_s)
        for association in self._running():
            association.cut()
        self._join(grace_s)

    def _running(self) -> dict[Association, threading.Thread]:
        with self._lock:
            return dict(self._threads)

    def _join(self, within_s: float) -> None:
        deadline = time.monotonic() + within_s
        for thread in self._running().values():
            thread.join(max(0.0, deadline - time.monotonic()))

    def _accept(self) -> None:
        server = self._server
        while server is not None and not self._stopping.is_set():
            try:
                connection, address = server.accept()
            except OSError as error:
                if error.errno in _OUT_OF_FILES and not self._stopping.wait(0.1):
                    LOG.error("no more connections can be opened: %s", errno.errorcode[error.errno])
                elif not self._stopping.is_set():
                    LOG.warning("a connection was lost before it began: %s", type(error).__name__)
                continue
            if len(self._threads) >= self._maximum + _SPARE_CONNECTIONS:
                LOG.warning("connection of %s closed: too many", address[0])
                connection.close()
                continue
            self._begin(connection, str(address[0]))

    def _begin(self, connection: socket.socket, peer: str) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        wrapped = connection
        if self._tls is not None:
            wrapped = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        association = Association(
            wrapped, peer, terms=self._terms, receiver=self._receiver, spool=self._spool, admit=self._admit
        )
        thread = threading.Thread(target=self._run, args=(association, wrapped, peer), name="dicom", daemon=True)
        with self._lock:
            self._threads[association] = thread
        try:
            thread.start()
        except RuntimeError:
            LOG.error("no thread for a connection of %s", peer)
            wrapped.close()
            with self._lock:
                del self._threads[association]

    def _run(self, association: Association, connection: socket.socket, peer: str) -> None:
        try:
            if isinstance(connection, ssl.SSLSocket):
                connection.settimeout(self._terms.associate_timeout_s)
                connection.do_handshake()
            association.run()
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            LOG.warning("no secure connection with %s: %s", peer, reason)
            connection.close()
        finally:
            with self._lock:
                del self._threads[association]
                self._admitted -= association.admitted

    def _admit(self) -> bool:
        with self._lock:
            if self._admitted >= self._maximum or self._stopping.is_set():
                return False
            self._admitted += 1
            return True


def tls_context(certificate: Path, key: Path, *, client_authorities: Path | None = None) -> ssl.SSLContext:
    """TLS 1.2 or newer for a listener (PS3.15 B.9 asks for the BCP 195 profile).

    Parameters
    ----------
    certificate, key : PEM files of this server; the certificate's file may hold its chain.
    client_authorities : PEM file of authorities; a client without a certificate of theirs is turned away. None asks
        for no client certificate.

    Raises
    ------
    ListenerFailed
        If a file is missing, unreadable, or the key isn't the certificate's.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
        if client_authorities is not None:
            context.load_verify_locations(client_authorities)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:
        raise ListenerFailed(
            f"TLS can't be set up with {certificate}, {key} and {client_authorities} ({error}): check the files"
        ) from error
    return context
