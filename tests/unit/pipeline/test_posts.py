"""A site's settings of an alert channel become a post, or are refused with what to do."""

from __future__ import annotations

from typing import Any

import pytest

from radiolucent.errors import SetupError
from radiolucent.pipeline.delivering import Place
from radiolucent.pipeline.posts import post
from radiolucent.results.destinations.alert_channels import FhirChannel, Hl7Channel, MailChannel
from radiolucent.results.destinations.fhir_rest import FhirRest
from radiolucent.results.destinations.http import HttpPeer
from radiolucent.results.destinations.mllp import Mllp
from radiolucent.results.withdrawal import Wording
from radiolucent.settings.telling import AlertChannelSettings

PLACES = {
    "ris": Place(destination=Mllp(name="ris", host="127.0.0.1", port=2575)),
    "ehr": Place(destination=FhirRest(peer=HttpPeer(name="ehr", url="http://x.example"))),
}
VIEWER = "https://viewer.example/?study={study}"
MAIL: dict[str, Any] = {"kind": "mail", "sender": "ai@hospital.example", "recipients": ["room@hospital.example"]}


def made(*, viewer: str | None = None, **told: Any) -> Any:
    one = AlertChannelSettings(name="channel", **told)
    return post(**one.model_dump(), places=PLACES, wording=Wording(viewer_url=viewer))


def test_a_mail_channel_holds_neither_link_nor_accession_number_unless_asked() -> None:
    channel = made(viewer=VIEWER, **MAIL).channel
    assert isinstance(channel, MailChannel)
    assert (channel.destination.viewer_url, channel.destination.accession) == (None, False)
    channel = made(viewer=VIEWER, link=True, accession=True, **MAIL).channel
    assert (channel.destination.viewer_url, channel.destination.accession) == (VIEWER, True)


def test_messages_go_to_a_destination_that_is_there_already() -> None:
    hl7 = made(viewer=VIEWER, kind="hl7", destination="ris")
    assert isinstance(hl7.channel, Hl7Channel)
    assert (hl7.channel.destination.port, hl7.channel.viewer_url, hl7.per_hour) == (2575, VIEWER, None)
    fhir = made(kind="fhir", destination="ehr", per_hour=4, tiers=["A"], gets="escalation")
    assert isinstance(fhir.channel, FhirChannel)
    assert (fhir.per_hour, fhir.tiers, fhir.gets) == (4, ("A",), "escalation")


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"kind": "hl7", "destination": "ehr"}, "no mllp"),
        ({"kind": "fhir", "destination": "ris"}, "no fhir"),
        ({"kind": "hl7", "destination": "gone"}, "no destination 'gone'"),
        ({**MAIL, "findings": ["lupus"]}, "no finding"),
        ({**MAIL, "link": True}, "viewer_url"),
        ({**MAIL, "starttls": True, "tls_ca": "/none.pem"}, "TLS file"),
        ({**MAIL, "sender": "nobody"}, "address"),
    ],
)
def test_what_would_go_wrong_later_is_refused_at_once(told: dict[str, Any], why: str) -> None:
    with pytest.raises(SetupError, match=why):
        made(**told)
