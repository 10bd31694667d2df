"""What the settings call a PACS or a worklist, as something that can be asked; what doesn't fit is said at start."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Protocol

from radiolucent.errors import SetupError
from radiolucent.ingest.dimse_peer import DimsePeer
from radiolucent.ingest.pacs import Pacs
from radiolucent.ingest.pacs_dimse import DimsePacs
from radiolucent.ingest.pacs_web import WebPacs
from radiolucent.ingest.spool import Spool
from radiolucent.ingest.watched_pacs import Criteria
from radiolucent.settings import Settings
from radiolucent.settings.ways import PacsSettings


class _Secured(Protocol):
    """The part of a section that is about TLS."""

    @property
    def name(self) -> str: ...
    @property
    def tls_ca(self) -> Path | None: ...
    @property
    def tls_certificate(self) -> Path | None: ...
    @property
    def tls_key(self) -> Path | None: ...


def client_tls(one: _Secured, what: str) -> ssl.SSLContext:
    """TLS as a client: the peer is checked against the given authority or the system's.

    Parameters
    ----------
    what : for the message, ``destination`` or ``PACS``.

    Raises
    ------
    SetupError
        If a file can't be read or holds no certificate.
    """
    try:
        context = ssl.create_default_context(cafile=one.tls_ca)
        if one.tls_certificate:
            context.load_cert_chain(one.tls_certificate, one.tls_key)
    except OSError as error:
        raise SetupError(f"{what} {one.name}: its TLS files can't be read: {error}") from error
    return context


def make_pacs(one: PacsSettings, spool: Spool, *, listener_ae: str) -> Pacs:
    """A PACS of the settings.

    Parameters
    ----------
    spool : where fetched objects are written on their way to the receiver.
    listener_ae : of this gateway's listener, to which C-MOVE sends where the settings name no other.

    Raises
    ------
    SetupError
        If its TLS files can't be read.
    """
    secured = one.tls or one.tls_ca is not None or one.tls_certificate is not None
    tls = client_tls(one, "PACS") if secured else None
    if one.kind == "dicomweb":
        token = one.token.get_secret_value()
        return WebPacs(name=one.name, url=one.url, spool=spool, token=token, tls=tls, timeout_s=one.timeout_s)
    peer = DimsePeer(
        name=one.name,
        host=one.host,
        port=one.port,
        called_ae=one.called_ae,
        calling_ae=one.calling_ae,
        timeout_s=one.timeout_s,
        tls=tls,
    )
    return DimsePacs(peer=peer, spool=spool, fetch_by=one.fetch_by, move_to=one.move_to or listener_ae)


def make_worklist(settings: Settings) -> DimsePeer | None:
    """The RIS's worklist, or None where none is named."""
    chosen = settings.worklist
    if not chosen.host:
        return None
    return DimsePeer(
        name="worklist",
        host=chosen.host,
        port=chosen.port,
        called_ae=chosen.called_ae,
        calling_ae=chosen.calling_ae,
        timeout_s=chosen.timeout_s,
    )


def criteria_of(one: PacsSettings) -> Criteria:
    """Which studies are wanted of a watched PACS.

    Raises
    ------
    SetupError
        If a body part isn't known.
    """
    try:
        return Criteria(modalities=one.watch_modalities, body_parts=one.watch_body_parts, days=one.watch_days)
    except ValueError as error:
        raise SetupError(f"pacs {one.name}: {error}") from error


def check_ways(settings: Settings) -> None:
    """Say at start what would go wrong with the first study.

    Raises
    ------
    SetupError
        If a watched folder isn't there, a body part isn't known, or a TLS file can't be read.
    """
    for folder in settings.watched_folders:
        if not folder.folder.is_dir():
            raise SetupError(f"watched folder {folder.name}: {folder.folder} isn't there")
    for one in settings.pacs:
        if one.watch_modalities:
            criteria_of(one)
        if one.tls or one.tls_ca is not None:
            client_tls(one, "PACS")
