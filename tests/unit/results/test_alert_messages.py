"""An alert as a message: strictly valid, of its own number, with nothing that the alert doesn't say."""

from typing import Any

import pytest

from radiolucent.errors import EncodingError
from radiolucent.findings.alert_policy import Turn, alert_key
from radiolucent.findings.alerts import alerts
from radiolucent.results.alert_messages import alert_bundle, alert_oru
from radiolucent.results.hl7 import filler_order_number
from radiolucent.results.order import OrderFacts
from tests.integration.outgoing import strictly_valid
from tests.unit.results.messages import FACTS, Received, readings
from tests.unit.results.pages import MADE_AT

ALERTING = [name for name, reading in readings().items() if alerts(reading)]


@pytest.mark.parametrize("kind", ALERTING)
@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize(("turn", "status"), [("first", "P"), ("escalation", "P"), ("withdrawn", "W")])
def test_the_message_is_valid_and_holds_the_alert_alone(kind: str, language: str, turn: Turn, status: str) -> None:
    reading = readings()[kind]
    for alert in alerts(reading, language=language):
        data = alert_oru(alert, reading, FACTS, key=alert_key(alert), made_at=MADE_AT, turn=turn)
        message = Received.of(data)
        assert strictly_valid(data)
        assert alert.message in message.study()["ai-alert"][0]
        assert message.study()["disclaimer"] == (alert.disclaimer,)
        assert {one.status for one in message.observations()} == {status}
        assert message.field("OBR", 3)[0] != filler_order_number(reading, FACTS)
        assert message.groups() == []


def test_the_same_alert_is_the_same_message_and_the_escalated_one_is_not() -> None:
    reading = readings()["critical"]
    (alert,) = alerts(reading)
    options: dict[str, Any] = {"key": alert_key(alert), "made_at": MADE_AT}
    first = alert_oru(alert, reading, FACTS, **options)
    assert first == alert_oru(alert, reading, FACTS, **options)
    assert first.split(b"|")[9] != alert_oru(alert, reading, FACTS, turn="escalation", **options).split(b"|")[9]


def test_the_urgency_of_the_alert_is_that_of_the_communication() -> None:
    for kind in ALERTING:
        for alert in alerts(readings()[kind]):
            made = alert_bundle(alert, FACTS, key=alert_key(alert), made_at=MADE_AT)
            (entry,) = made["entry"]
            assert entry["resource"]["priority"] == ("stat" if alert.level == 1 else "urgent")
            assert entry["request"]["ifNoneExist"].startswith("identifier=urn:ietf:rfc:3986%7Curn:uuid:")
            again = alert_bundle(alert, FACTS, key=alert_key(alert), made_at=MADE_AT, turn="acknowledged")
            assert again["entry"][0]["fullUrl"] == entry["fullUrl"]
            assert again["identifier"] != made["identifier"]


def test_what_cannot_be_filed_is_refused() -> None:
    reading = readings()["critical"]
    (alert,) = alerts(reading)
    with pytest.raises(EncodingError, match="patient ID"):
        alert_oru(alert, reading, OrderFacts(), key="k", made_at=MADE_AT)
    with pytest.raises(EncodingError, match="patient ID"):
        alert_bundle(alert, OrderFacts(), key="k", made_at=MADE_AT)
    with pytest.raises(EncodingError, match="time zone"):
        alert_bundle(alert, FACTS, key="k", made_at=MADE_AT.replace(tzinfo=None))
    with pytest.raises(EncodingError, match="viewer"):
        alert_oru(alert, reading, FACTS, key="k", made_at=MADE_AT, viewer_url="ftp://x")
