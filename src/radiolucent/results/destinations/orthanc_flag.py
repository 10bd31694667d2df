"""A flag on a study in an Orthanc archive, so that its list shows the urgency before the study is opened."""

from __future__ import annotations

import json
from dataclasses import dataclass

from radiolucent.errors import RetriableDelivery
from radiolucent.results.destinations.http import Answer, HttpPeer
from radiolucent.results.destinations.package import Package, Receipt
from radiolucent.results.statements import checked_uid

USER_METADATA = 1024
"""Orthanc keeps numbers from here on for its users."""


@dataclass(frozen=True, kw_only=True)
class OrthancFlag:
    """Study metadata of an Orthanc.

    Parameters
    ----------
    peer : base address of its REST interface.
    metadata : number (from 1024) or configured name of the metadata that holds the flag.

    Raises
    ------
    ValueError
        If the metadata is none that users may write.
    """

    peer: HttpPeer
    metadata: str = "4001"

    def __post_init__(self) -> None:
        number = int(self.metadata) if self.metadata.isdigit() else USER_METADATA
        if number < USER_METADATA or not self.metadata.isascii() or not self.metadata.isalnum():
            raise ValueError(f"metadata must be a name or a number from {USER_METADATA} on")

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return self.peer.name

    def deliver(self, package: Package) -> Receipt:
        """Write the package's flag, or take away one that an earlier revision may have left.

        Raises
        ------
        RetriableDelivery, FinalDelivery, EncodingError
            As `flag`.
        """
        if not package.flag and package.revision == 1 and package.status == "preliminary":
            return Receipt(destination=self.name)
        return self.flag(package.study_instance_uid, package.flag)

    def flag(self, study_instance_uid: str, text: str) -> Receipt:
        """Write the flag; an empty text takes it away.

        Raises
        ------
        RetriableDelivery
            If the archive is away or doesn't hold the study yet.
        FinalDelivery
            If it refuses.
        EncodingError
            If the UID is none.
        """
        where = f"studies/{self._study(checked_uid(study_instance_uid))}/metadata/{self.metadata}"
        method, content = ("PUT", text.encode()) if text else ("DELETE", None)
        answer = self.peer.request(method, where, content=content, headers={"Content-Type": "text/plain"})
        if text or answer.status != 404:  # what isn't there needn't be taken away
            self._check(answer, "the flag was refused")
        return Receipt(destination=self.name, delivered=(study_instance_uid,))

    def _study(self, uid: str) -> str:
        answer = self.peer.request("POST", "tools/lookup", content=uid.encode(), headers={"Content-Type": "text/plain"})
        self._check(answer, "the study can't be looked up")
        try:
            found = [str(one["ID"]) for one in json.loads(answer.body) if one["Type"] == "Study"]
        except (ValueError, KeyError, TypeError) as error:
            raise RetriableDelivery("its answer can't be understood", destination=self.name) from error
        if len(found) != 1 or not all(part.isalnum() for part in found[0].split("-")):
            raise RetriableDelivery("it doesn't hold the study yet", destination=self.name)
        return found[0]

    def _check(self, answer: Answer, what: str) -> None:
        if not 200 <= answer.status < 300:
            raise self.peer.refusal(answer, what)
