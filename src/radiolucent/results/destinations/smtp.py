"""Alert mails to a local mail server; a mail never holds who the patient is."""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

from radiolucent.errors import FinalDelivery, RetriableDelivery, SetupError
from radiolucent.findings.alert_policy import Turn
from radiolucent.findings.alerts import Alert
from radiolucent.results.alert_messages import subject_line
from radiolucent.results.destinations.package import Receipt
from radiolucent.results.destinations.statuses import smtp_meaning
from radiolucent.results.statements import viewer_link


@dataclass(frozen=True, kw_only=True)
class Smtp:
    """A mail server of the site.

    Parameters
    ----------
    sender, recipients : addresses.
    starttls : context for STARTTLS, or None where the server is on this machine.
    viewer_url : address with ``{study}``; with it a mail leads to the study. Without it a reader looks for the alert in
        the worklist.
    accession : whether a mail holds the accession number, which leads to the patient within the hospital.

    Raises
    ------
    SetupError
        If an address can't be one, or there is no recipient.
    """

    name: str
    host: str
    port: int
    sender: str
    recipients: tuple[str, ...]
    timeout_s: float = 30.0
    starttls: ssl.SSLContext | None = None
    viewer_url: str | None = None
    accession: bool = False

    def __post_init__(self) -> None:
        if not self.recipients:
            raise SetupError(f"{self.name}: no recipient is set")
        for address in (self.sender, *self.recipients):
            try:
                known = Address(addr_spec=address)
            except (ValueError, IndexError) as error:
                raise SetupError(f"{self.name}: an address isn't valid: set it anew") from error
            if not known.domain:
                raise SetupError(f"{self.name}: an address has no domain: set it anew")

    def send(
        self, alert: Alert, *, key: str, at: datetime, held: int = 0, turn: Turn = "first", accession_number: str = ""
    ) -> Receipt:
        """Send one alert.

        Parameters
        ----------
        key : of the alert; a mail that is sent again has the same Message-ID.
        held : messages that the rate limit held back so far; told, never dropped.
        accession_number : of the study; in the mail only where the site wants that.

        Raises
        ------
        RetriableDelivery
            If the server is away, hangs, breaks off or answers 4yz.
        FinalDelivery
            If it refuses sender, recipient or mail (5yz), or its certificate isn't trusted.
        """
        mail = self.compose(alert, key=key, at=at, held=held, turn=turn, accession_number=accession_number)
        try:
            with smtplib.SMTP(self.host, self.port, timeout=self.timeout_s) as server:
                if self.starttls is not None:
                    server.starttls(context=self.starttls)
                refused = server.send_message(mail, self.sender, list(self.recipients))
        except smtplib.SMTPRecipientsRefused as error:
            raise self._refusal(min(code for code, _ in error.recipients.values())) from error
        except smtplib.SMTPResponseException as error:
            raise self._refusal(error.smtp_code) from error
        except smtplib.SMTPNotSupportedError as error:
            raise FinalDelivery("it offers no STARTTLS: set another server", destination=self.name) from error
        except ssl.SSLCertVerificationError as error:
            raise FinalDelivery(
                "its certificate isn't trusted: set the right authority or host name", destination=self.name
            ) from error
        except (OSError, smtplib.SMTPException, UnicodeError) as error:
            raise RetriableDelivery(
                f"no connection, or it broke off ({type(error).__name__})", destination=self.name
            ) from error
        warnings = (f"{len(refused)} of {len(self.recipients)} recipients were refused",) if refused else ()
        return Receipt(destination=self.name, delivered=(str(mail["Message-ID"]),), warnings=warnings)

    def compose(
        self, alert: Alert, *, key: str, at: datetime, held: int = 0, turn: Turn = "first", accession_number: str = ""
    ) -> EmailMessage:
        """The mail: subject, what to verify, the link and the disclaimer."""
        words = _WORDS[alert.language]
        mail = EmailMessage()
        mail["From"], mail["To"] = self.sender, ", ".join(self.recipients)
        mail["Subject"] = " ".join(subject_line(alert, turn).split())
        mail["Date"] = format_datetime(at)
        digest = hashlib.sha256(f"{key}\n{turn}".encode()).hexdigest()[:40]
        mail["Message-ID"] = f"<{digest}@{Address(addr_spec=self.sender).domain}>"
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answering machine answers
        if alert.level == 1:
            mail["Importance"] = "high"
        lines = [alert.message]
        if self.viewer_url:
            lines.append(viewer_link(self.viewer_url, alert.study_instance_uid, finding=alert.finding))
        else:
            lines.append(words["worklist"])
        if self.accession and accession_number:
            lines.append(words["accession"].format(number=" ".join(accession_number.split())))
        if held:
            lines.append(words["held"].format(held=held))
        mail.set_content("\n\n".join([*lines, alert.disclaimer]) + "\n")
        return mail

    def _refusal(self, code: int) -> RetriableDelivery | FinalDelivery:
        kind = FinalDelivery if smtp_meaning(code) == "final" else RetriableDelivery
        return kind(f"the mail was refused with {code}", destination=self.name)


_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "worklist": "The study is marked in the worklist.",
        "accession": "Accession number {number}",
        "held": "{held} more alerts are waiting in the worklist.",
    },
    "de": {
        "worklist": "Die Untersuchung ist in der Arbeitsliste markiert.",
        "accession": "Auftragsnummer {number}",
        "held": "{held} weitere Meldungen warten in der Arbeitsliste.",
    },
}
