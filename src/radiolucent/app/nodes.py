"""The nodes that a gateway talks to, by name, and how each is asked whether it is there."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from radiolucent.app.parts import Parts
from radiolucent.results.destinations import Destination
from radiolucent.results.destinations.asking import Answer, connection, echo, http, timed, writable
from radiolucent.results.destinations.cstore import CStore
from radiolucent.results.destinations.fhir_rest import FhirRest
from radiolucent.results.destinations.folder import Folder
from radiolucent.results.destinations.http import HttpPeer
from radiolucent.results.destinations.mllp import Mllp
from radiolucent.results.destinations.orthanc_flag import OrthancFlag
from radiolucent.results.destinations.stow import Stow
from radiolucent.settings.ways import PacsSettings, WorklistSettings

ONE_STUDY = "studies?limit=1"
"""A query that a DICOMweb server answers with little (PS3.18 10.6)."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """One peer.

    Parameters
    ----------
    what : what it is asked or sent for, in words.
    address : where it is; without credentials.
    ask : asks it now.
    """

    name: str
    kind: str
    what: str
    address: str
    ask: Callable[[], Answer]


def nodes_of(parts: Parts) -> tuple[Node, ...]:
    """Every peer of the settings: destinations, PACS, the RIS's worklist."""
    settings = parts.settings
    found = [_destination(one.name, one.kind, parts.places[one.name].destination) for one in settings.destinations]
    found += [_pacs(one) for one in settings.pacs]
    if settings.worklist.host:
        found.append(_worklist(settings.worklist))
    return tuple(found)


def _destination(name: str, kind: str, made: Destination) -> Node:
    address, ask = _asked(made)
    return Node(name=name, kind=kind, what="results go there", address=address, ask=partial(timed, ask))


def _asked(made: Destination) -> tuple[str, Callable[[], str]]:
    if isinstance(made, CStore):
        ask = partial(
            echo,
            made.host,
            made.port,
            called_ae=made.called_ae,
            calling_ae=made.calling_ae,
            timeout_s=made.timeout_s,
            tls=made.tls,
        )
        return f"{made.called_ae}@{made.host}:{made.port}", ask
    if isinstance(made, Mllp):
        ask = partial(connection, made.host, made.port, timeout_s=made.timeout_s, tls=made.tls)
        return f"{made.host}:{made.port}", ask
    if isinstance(made, Folder):
        return made.root.name, partial(writable, made.root)
    if isinstance(made, Stow):
        return made.peer.url, partial(http, made.peer, ONE_STUDY)
    if isinstance(made, FhirRest):
        return made.peer.url, partial(http, made.peer, "metadata")
    assert isinstance(made, OrthancFlag), "a new kind of destination needs a way to ask it"
    return made.peer.url, partial(http, made.peer, "system")


def _pacs(one: PacsSettings) -> Node:
    what = "is asked and fetched from"
    if one.kind == "dicomweb":
        token = one.token.get_secret_value()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        peer = HttpPeer(name=one.name, url=one.url, timeout_s=one.timeout_s, headers=lambda: headers)
        ask_web = partial(timed, partial(http, peer, ONE_STUDY))
        return Node(name=one.name, kind=one.kind, what=what, address=one.url, ask=ask_web)
    ask = partial(echo, one.host, one.port, called_ae=one.called_ae, calling_ae=one.calling_ae, timeout_s=one.timeout_s)
    secured = partial(_with_tls, ask, one) if one.tls else ask
    return Node(
        name=one.name,
        kind=one.kind,
        what=what,
        address=f"{one.called_ae}@{one.host}:{one.port}",
        ask=partial(timed, secured),
    )


def _with_tls(ask: Callable[..., str], one: PacsSettings) -> str:
    context = ssl.create_default_context(cafile=one.tls_ca)
    if one.tls_certificate:
        context.load_cert_chain(one.tls_certificate, one.tls_key)
    return ask(tls=context)


def _worklist(one: WorklistSettings) -> Node:
    ask = partial(echo, one.host, one.port, called_ae=one.called_ae, calling_ae=one.calling_ae, timeout_s=one.timeout_s)
    return Node(
        name="worklist",
        kind="dimse",
        what="is asked for orders",
        address=f"{one.called_ae}@{one.host}:{one.port}",
        ask=partial(timed, ask),
    )
