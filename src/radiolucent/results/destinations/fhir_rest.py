"""A FHIR transaction to a server: one POST, and its answer read entry by entry."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from radiolucent.errors import RetriableDelivery
from radiolucent.results.destinations.http import Answer, HttpPeer
from radiolucent.results.destinations.package import Package, Receipt

_MEDIA: Final = "application/fhir+json"
_CODE: Final = re.compile(r"[a-z][a-z-]{1,39}")


@dataclass(frozen=True, kw_only=True)
class FhirRest:
    """A FHIR server.

    Parameters
    ----------
    peer : base address, e.g. ``https://ehr.example/fhir``.
    """

    peer: HttpPeer

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return self.peer.name

    def deliver(self, package: Package) -> Receipt:
        """Post the package's transaction; it is done as a whole or not at all (FHIR R4B 3.1.0.11.2).

        Raises
        ------
        RetriableDelivery
            If the server is away, busy, breaks off, or its answer isn't that of this transaction.
        FinalDelivery
            If it refuses the transaction.
        """
        return self.send(package.fhir) if package.fhir else Receipt(destination=self.name)

    def send(self, bundle: str) -> Receipt:
        """The same for any transaction Bundle, as JSON text with an identifier.

        Raises
        ------
        RetriableDelivery, FinalDelivery
            As `deliver`.
        """
        sent = json.loads(bundle)
        key = str(sent["identifier"]["value"])
        answer = self.peer.request(
            "POST",
            "",
            content=bundle.encode(),
            headers={
                "Content-Type": f"{_MEDIA}; charset=utf-8",
                "Accept": _MEDIA,
                "Prefer": "return=minimal",
                "X-Request-Id": key.removeprefix("urn:uuid:"),  # named by the AuditEvent, as BALP wants it
            },
        )
        if not 200 <= answer.status < 300:
            raise self.peer.refusal(answer, f"the transaction was refused{_issues(answer)}")
        self._check(answer, len(sent["entry"]))
        return Receipt(destination=self.name, delivered=(key,))

    def _check(self, answer: Answer, entries: int) -> None:
        """See that every entry was done; a transaction can't succeed in part, so anything else isn't understood."""
        try:
            body = json.loads(answer.body)
            statuses = [str(entry["response"]["status"]) for entry in body["entry"]]
            right = body["resourceType"] == "Bundle" and body["type"] == "transaction-response"
        except (ValueError, KeyError, TypeError):
            statuses, right = [], False
        if not right or len(statuses) != entries or any(not status.startswith("2") for status in statuses):
            raise RetriableDelivery(
                f"its answer (HTTP {answer.status}) isn't that of this transaction: it may or may not have kept it",
                destination=self.name,
            )


def _issues(answer: Answer) -> str:
    """Severity and code of each issue; the diagnostics are left out, they may name the patient."""
    try:
        issues: list[dict[str, Any]] = json.loads(answer.body)["issue"]
        codes = [str(issue.get("code", "")) for issue in issues]
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
    told = [code for code in dict.fromkeys(codes) if _CODE.fullmatch(code)]
    return f" ({', '.join(told[:5])})" if told else ""
