"""Channels of alerts by kind: what a site's settings say becomes a post that alerts go to."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any, Literal

from radiolucent.errors import SetupError
from radiolucent.findings.alerts import Tier
from radiolucent.findings.taxonomy import FINDINGS
from radiolucent.pipeline.alerting import Post
from radiolucent.pipeline.delivering import Place
from radiolucent.results.destinations.alert_channels import Channel, FhirChannel, Hl7Channel, MailChannel
from radiolucent.results.destinations.fhir_rest import FhirRest
from radiolucent.results.destinations.mllp import Mllp
from radiolucent.results.destinations.smtp import Smtp
from radiolucent.results.withdrawal import Wording


def post(
    kind: str,
    *,
    name: str,
    places: Mapping[str, Place],
    wording: Wording,
    gets: Literal["first", "escalation", "both"],
    least_urgent: int,
    tiers: tuple[Tier, ...],
    findings: tuple[str, ...],
    per_hour: int,
    **told: Any,
) -> Post:
    """A channel with what of the alerts goes there.

    Parameters
    ----------
    kind : ``mail``, ``hl7`` or ``fhir``.
    places : the site's destinations: HL7 and FHIR channels use the address of one.
    told : the other fields of a channel's settings.

    Raises
    ------
    SetupError
        If a finding or the destination isn't known, the destination is of another kind, an address can't be one, or a
        mail should hold a link and the pages have no address.
    """
    unknown = sorted(set(findings) - set(FINDINGS))
    if unknown:
        raise SetupError(f"alert channel {name}: {unknown[0]!r} is no finding")
    return Post(
        channel=_mail(name, wording, **told) if kind == "mail" else _message(kind, name, places, wording, **told),
        per_hour=per_hour or None,
        gets=gets,
        least_urgent=least_urgent,
        tiers=tiers,
        findings=findings,
    )


def _mail(name: str, wording: Wording, **told: Any) -> Channel:
    if told["link"] and not wording.viewer_url:
        raise SetupError(f"alert channel {name}: a mail with a link needs web.viewer_url")
    tls = None
    if told["starttls"]:
        try:
            tls = ssl.create_default_context(cafile=told["tls_ca"])
        except OSError as error:
            raise SetupError(f"alert channel {name}: its TLS file can't be read: {error}") from error
    return MailChannel(
        destination=Smtp(
            name=name,
            host=told["host"],
            port=told["port"],
            sender=told["sender"],
            recipients=tuple(told["recipients"]),
            timeout_s=told["timeout_s"],
            starttls=tls,
            viewer_url=wording.viewer_url if told["link"] else None,
            accession=told["accession"],
        )
    )


def _message(kind: str, name: str, places: Mapping[str, Place], wording: Wording, **told: Any) -> Channel:
    wanted = told["destination"]
    if wanted not in places:
        raise SetupError(f"alert channel {name}: there is no destination {wanted!r}")
    found = places[wanted].destination
    if kind == "hl7" and isinstance(found, Mllp):
        return Hl7Channel(destination=found, viewer_url=wording.viewer_url, mapping=wording.oru_mapping)
    if kind == "fhir" and isinstance(found, FhirRest):
        return FhirChannel(destination=found, viewer_url=wording.viewer_url, mapping=wording.fhir_mapping)
    raise SetupError(f"alert channel {name}: {wanted} is no {'mllp' if kind == 'hl7' else 'fhir'} destination")
