"""The channels that an alert goes out on: RIS, EHR, mail and the web, each with the same notice."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from radiolucent.errors import EncodingError, FinalDelivery
from radiolucent.findings.alert_policy import Notification, notification
from radiolucent.findings.alerts import Alert
from radiolucent.findings.reading import Reading
from radiolucent.results.alert_messages import alert_bundle, alert_oru
from radiolucent.results.destinations.fhir_rest import FhirRest
from radiolucent.results.destinations.mllp import Mllp
from radiolucent.results.destinations.package import Receipt
from radiolucent.results.destinations.smtp import Smtp
from radiolucent.results.order import OrderFacts


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One alert on its way.

    Parameters
    ----------
    key : of the alert (`alert_policy.alert_key`); what is sent again is the same message.
    at : when it was raised, with a time zone; not the time of the attempt.
    held : how many more the rate limit holds back.
    escalated : nobody acknowledged it in time.
    """

    alert: Alert
    key: str
    at: datetime
    reading: Reading
    facts: OrderFacts
    held: int = 0
    escalated: bool = False


class Channel(Protocol):
    """A way that alerts go out."""

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

    destination: Mllp
    viewer_url: str | None = None

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
                escalated=notice.escalated,
                viewer_url=self.viewer_url,
            )
        except EncodingError as error:
            raise FinalDelivery(str(error), destination=self.name) from error
        return self.destination.send(message)


@dataclass(frozen=True, kw_only=True)
class FhirChannel:
    """Alerts to an EHR as FHIR Communications."""

    destination: FhirRest
    viewer_url: str | None = None

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return self.destination.name

    def send(self, notice: Notice, *, acknowledged: bool = False) -> Receipt:
        """Create the Communication, or complete it once it was `acknowledged`.

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
                escalated=notice.escalated,
                acknowledged=acknowledged,
                viewer_url=self.viewer_url,
            )
        except EncodingError as error:
            raise FinalDelivery(str(error), destination=self.name) from error
        return self.destination.send(json.dumps(made, ensure_ascii=False))


@dataclass(frozen=True, kw_only=True)
class MailChannel:
    """Alerts by mail, without patient identity."""

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
            notice.alert, key=notice.key, at=notice.at, held=notice.held, escalated=notice.escalated
        )


@dataclass(frozen=True, kw_only=True)
class WebChannel:
    """Alerts in the web's worklist: a row that is kept until somebody acknowledges it.

    Parameters
    ----------
    keep : writes the row in a transaction; a row with the same key replaces the earlier one.
    """

    keep: Callable[[Notification], None]
    name: str = "web"

    def send(self, notice: Notice) -> Receipt:
        """Keep the row."""
        self.keep(notification(notice.alert, key=notice.key, raised_at=notice.at, escalated=notice.escalated))
        return Receipt(destination=self.name, delivered=(notice.key,))
