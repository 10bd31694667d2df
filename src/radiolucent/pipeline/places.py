"""Destinations by kind: what a site's settings say becomes an object that delivers."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from radiolucent.errors import SetupError
from radiolucent.pipeline.delivering import Place
from radiolucent.results.destinations import Destination
from radiolucent.results.destinations.commitment import Commitment
from radiolucent.results.destinations.cstore import CStore
from radiolucent.results.destinations.fhir_rest import FhirRest
from radiolucent.results.destinations.folder import Folder
from radiolucent.results.destinations.http import HttpPeer
from radiolucent.results.destinations.mllp import Mllp
from radiolucent.results.destinations.orthanc_flag import OrthancFlag
from radiolucent.results.destinations.presets import Preset, preset
from radiolucent.results.destinations.retry import RetryPolicy
from radiolucent.results.destinations.stow import Stow

NEEDS = {"mllp": "oru", "fhir": "fhir"}
"""Kind of destination → the message without which there is nothing to hand over."""
EARLY = ("mllp", "fhir", "orthanc-flag")
"""Kinds that say how urgent a study is; they go before the objects."""


def place(
    kind: str,
    *,
    first_retry_s: float,
    longest_retry_s: float,
    give_up_after_h: float,
    presets: Mapping[str, Preset] | None = None,
    **told: Any,
) -> Place:
    """A destination with its policy of retries.

    Parameters
    ----------
    kind : ``folder``, ``cstore``, ``stow``, ``mllp``, ``fhir`` or ``orthanc-flag``.
    presets : the table that names are looked up in; None takes the packaged one.
    told : the other fields of a destination's settings; each kind takes those that it knows.

    Raises
    ------
    SetupError
        If the preset or the kind isn't known, or the waits contradict each other.
    """
    try:
        policy = RetryPolicy(first_s=first_retry_s, longest_s=longest_retry_s, give_up_after_s=give_up_after_h * 3600)
    except ValueError as error:
        raise SetupError(f"destination {told['name']}: {error}") from error
    made = _destination(kind, presets, **told)
    return Place(destination=made, needs=NEEDS.get(kind, ""), early=kind in EARLY, policy=policy)


def _destination(kind: str, presets: Mapping[str, Preset] | None, **told: Any) -> Destination:
    if kind == "folder":
        return Folder(name=told["name"], root=Path(told["folder"]), preset=preset(told["preset"], presets))
    if kind == "cstore":
        return CStore(
            **_of(told, "name", "host", "port", "called_ae", "calling_ae", "timeout_s", "tls"),
            preset=preset(told["preset"], presets),
            commitment=None if told["commitment"] == "no" else Commitment(need=told["commitment"]),
        )
    if kind == "stow":
        return Stow(peer=_peer(**told), preset=preset(told["preset"], presets))
    if kind == "mllp":
        return Mllp(**_of(told, "name", "host", "port", "timeout_s", "tls"))
    if kind == "fhir":
        return FhirRest(peer=_peer(**told))
    if kind == "orthanc-flag":
        try:
            return OrthancFlag(peer=_peer(**told), metadata=told["metadata"])
        except ValueError as error:
            raise SetupError(f"destination {told['name']}: {error}") from error
    raise SetupError(f"{kind!r} is no kind of destination")


def _peer(*, name: str, url: str, timeout_s: float, token: str, tls: ssl.SSLContext | None, **_: Any) -> HttpPeer:
    def headers() -> Mapping[str, str]:
        return {"Authorization": f"Bearer {token}"} if token else {}

    return HttpPeer(name=name, url=url, timeout_s=timeout_s, headers=headers, tls=tls)


def _of(told: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: told[name] for name in names}
