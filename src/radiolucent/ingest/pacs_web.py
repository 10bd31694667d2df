"""A PACS asked by QIDO-RS and fetched from by WADO-RS (PS3.18 10.6 and 10.4), objects kept as they are sent."""

from __future__ import annotations

import json
import logging
import ssl
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import httpx
from pydicom.dataset import Dataset

from radiolucent.errors import BrokenProtocol, OutOfSpace, QueryFailed, UnreadableFile
from radiolucent.imaging.header import BROKEN
from radiolucent.ingest.multipart import DICOM, PartsReader, boundary_of
from radiolucent.ingest.pacs import (
    SERIES_KEYS,
    STUDY_KEYS,
    Fetched,
    SeriesMatch,
    StudyMatch,
    StudyQuery,
    fits,
    series_match,
    study_match,
)
from radiolucent.ingest.receiving import ANSWERS, Outcome, Receiver, Way, identify
from radiolucent.ingest.spool import Spool, SpooledFile

LOG: Final = logging.getLogger(__name__)
_ANY_SYNTAX: Final = f'multipart/related; type="{DICOM}"; transfer-syntax=*'
_JSON: Final = "application/dicom+json"
_CHUNK_BYTES: Final = 2**18
_LIMIT: Final = 5000


@dataclass(frozen=True, kw_only=True)
class WebPacs:
    """A PACS with DICOMweb services.

    Parameters
    ----------
    name : for logs and rows.
    url : of its DICOMweb root, e.g. ``https://pacs.example/dicom-web``.
    token : bearer token, or empty.
    tls : context of a client, or None for the system's authorities.
    timeout_s : for connecting and between two pieces of an answer.
    maximum_part_bytes : of one object.
    """

    name: str
    url: str
    spool: Spool
    token: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = None
    timeout_s: float = 30.0
    maximum_part_bytes: int = 4 * 2**30

    def find_studies(self, query: StudyQuery) -> tuple[StudyMatch, ...]:
        """Studies that match. Raises `QueryFailed`."""
        asked = {
            "PatientID": query.patient_id,
            "StudyInstanceUID": query.study_instance_uid,
            "AccessionNumber": query.accession_number,
            "StudyDate": query.dates,
            "ModalitiesInStudy": query.modality,
        }
        filters = {keyword: value for keyword, value in asked.items() if value}
        found = [study_match(answer) for answer in self._search("studies", filters, STUDY_KEYS)]
        return tuple(one for one in found if one is not None and fits(one, query))

    def find_series(self, study_instance_uid: str) -> tuple[SeriesMatch, ...]:
        """Series of one study. Raises `QueryFailed`."""
        where = f"studies/{study_instance_uid}/series"
        found = [series_match(answer) for answer in self._search(where, {}, SERIES_KEYS)]
        return tuple(one for one in found if one is not None)

    def fetch(self, study_instance_uid: str, receiver: Receiver, *, way: Way) -> Fetched:
        """Bring all instances of one study here.

        Raises
        ------
        QueryFailed
            If the PACS refuses or breaks off, or the archive here is full. What came until then is kept.
        """
        association_id, counts = uuid.uuid4().hex, Counter[Outcome]()
        whole = False
        try:
            for part in self._parts(study_instance_uid):
                with part:
                    counts[self._keep(part, study_instance_uid, receiver, way, association_id)] += 1
            whole = True
        finally:
            receiver.association_ended(association_id, aborted=not whole)
        kept = sum(count for outcome, count in counts.items() if ANSWERS[outcome].accepted)
        return Fetched(outcomes=counts, completed=kept, failed=counts.total() - kept)

    def _client(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return httpx.Client(
            base_url=self.url.rstrip("/") + "/",
            headers=headers,
            verify=self.tls if self.tls is not None else True,
            timeout=self.timeout_s,
        )

    def _search(self, where: str, filters: dict[str, str], keys: tuple[str, ...]) -> list[Dataset]:
        asked: dict[str, str | list[str]] = {**filters, "includefield": list(keys), "limit": str(_LIMIT)}
        try:
            with self._client() as client:
                answer = client.get(where, params=asked, headers={"Accept": _JSON})
            answer.raise_for_status()
            found = answer.json() if answer.content else []  # 204 is an empty answer
            if not isinstance(found, list):
                raise QueryFailed(f"{self.name} answers a query with something else than a list: check its address")
            return [Dataset.from_json(json.dumps(one)) for one in found]
        except (httpx.HTTPError, *BROKEN) as error:
            raise QueryFailed(f"{self.name} doesn't answer a query ({_what(error)}): check its address") from error

    def _parts(self, study_instance_uid: str) -> Iterator[SpooledFile]:
        where = f"studies/{study_instance_uid}"
        try:
            with self._client() as client, client.stream("GET", where, headers={"Accept": _ANY_SYNTAX}) as answer:
                answer.raise_for_status()
                boundary = boundary_of(answer.headers.get("Content-Type", ""))
                reader = PartsReader(boundary, self.spool, maximum_part_bytes=self.maximum_part_bytes)
                yield from reader.read(answer.iter_bytes(_CHUNK_BYTES))
        except (httpx.HTTPError, BrokenProtocol) as error:
            raise QueryFailed(f"{self.name} broke off a retrieval ({_what(error)})") from error
        except (OutOfSpace, OSError) as error:
            raise QueryFailed(f"{self.name} can't be fetched from: the archive here is full") from error

    def _keep(self, part: SpooledFile, study: str, receiver: Receiver, way: Way, association_id: str) -> Outcome:
        try:
            instance = identify(
                part.path,
                way=way,
                association_id=association_id,
                peer_address=self.name,
                expected={"StudyInstanceUID": study},
            )
            return receiver.receive(instance)
        except UnreadableFile as error:
            LOG.warning("an object fetched from %s can't be understood: %s", self.name, error.code)
            return Outcome.NOT_UNDERSTOOD
        except Exception as error:  # noqa: BLE001 - one object that fails must not end the others
            LOG.error("an object fetched from %s was not kept: %s", self.name, type(error).__name__)
            return Outcome.FAILED


def _what(error: Exception) -> str:
    """What went wrong, without the address, which may hold identifiers."""
    return f"HTTP {error.response.status_code}" if isinstance(error, httpx.HTTPStatusError) else type(error).__name__
