"""The channels that an alert goes out on: RIS, EHR and mail, each with the same notice. The web reads the rows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Protocol

from radiolucent.errors import EncodingError, FinalDelivery
from radiolucent.findings.alert_policy import Turn
from radiolucent.findings.alerts import Alert
from radiolucent.findings.reading import Reading
from radiolucent.results.alert_messages import alert_bundle, alert_oru
from radiolucent.results.destinations.fhir_rest import FhirRest
from radiolucent.results.destinations.mllp import Mllp
from radiolucent.results.destinations.package import Receipt
from radiolucent.results.destinations.smtp import Smtp
from radiolucent.results.fhir_mapping import FhirMapping
from radiolucent.results.hl7_mapping import OruMapping
from radiolucent.results.order import OrderFacts


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One alert on its way.

    Parameters
    ----------
    key : of the alert (`alert_policy.alert_key`); what is sent again is the same message.
    at : when it was raised, or when its turn came, with a time zone; not the time of the attempt.
    held : how many more the rate limit holds back.
    """

    alert: Alert
    key: str
    at: datetime
    reading: Reading
    facts: OrderFacts
    held: int = 0
    turn: Turn = "first"


class Channel(Protocol):
    """A way that alerts go out. `takes` are the turns that mean something there."""

    takes: ClassVar[tuple[Turn, ...]]

    @property
    def name(self) -> str:
        """Its name in the settings."""

    def send(self, notice: Notice) -> Receipt:
        """Send one alert; the same notice again does no harm.

        Raises
        ------
        RetriableDelivery
            If the same may succeed later.
        FinalDelivery
            If a person must act first.
        """


@dataclass(frozen=True, kw_only=True)
class Hl7Channel:
    """Alerts to a RIS over MLLP."""

    takes: ClassVar[tuple[Turn, ...]] = ("first", "escalation", "withdrawn")
    destination: Mllp
    viewer_url: str | None = None
    mapping: OruMapping | None = None

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return self.destination.name

    def send(self, notice: Notice) -> Receipt:
        """Send the alert as an ORU^R01 of its own.

        Raises
        ------
        RetriableDelivery, FinalDelivery
            As `Mllp.send`; final too where no message can be written.
        """
        try:
            message = alert_oru(
                notice.alert,
                notice.reading,
                notice.facts,
                key=notice.key,
                made_at=notice.at,
                turn=notice.turn,
                viewer_url=self.viewer_url,
                mapping=self.mapping,
            )
        except EncodingError as error:
            raise FinalDelivery(str(error), destination=self.name) from error
        return self.destination.send(message)


@dataclass(frozen=True, kw_only=True)
class FhirChannel:
    """Alerts to an EHR as FHIR Communications."""

    takes: ClassVar[tuple[Turn, ...]] = ("first", "escalation", "acknowledged", "withdrawn")
    destination: FhirRest
    viewer_url: str | None = None
    mapping: FhirMapping | None = None

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return self.destination.name

    def send(self, notice: Notice) -> Receipt:
        """Create the Communication, or put the one that is there into its new state.

        Raises
        ------
        RetriableDelivery, FinalDelivery
            As `FhirRest.send`; final too where no bundle can be written.
        """
        try:
            made = alert_bundle(
                notice.alert,
                notice.facts,
                key=notice.key,
                made_at=notice.at,
                turn=notice.turn,
                viewer_url=self.viewer_url,
                mapping=self.mapping,
            )
        except EncodingError as error:
            raise FinalDelivery(str(error), destination=self.name) from error
        return self.destination.send(json.dumps(made, ensure_ascii=False))


@dataclass(frozen=True, kw_only=True)
class MailChannel:
    """Alerts by mail, without patient identity."""

    takes: ClassVar[tuple[Turn, ...]] = ("first", "escalation", "withdrawn")
    destination: Smtp

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return self.destination.name

    def send(self, notice: Notice) -> Receipt:
        """Send the mail.

        Raises
        ------
        RetriableDelivery, FinalDelivery
            As `Smtp.send`.
        """
        return self.destination.send(
            notice.alert,
            key=notice.key,
            at=notice.at,
            held=notice.held,
            turn=notice.turn,
            accession_number=notice.facts.accession_number,
        )
