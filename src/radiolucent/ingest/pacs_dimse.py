"""A PACS asked by C-FIND (Study Root) and fetched from by C-GET, or by C-MOVE to this gateway's own listener."""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from dataclasses import dataclass
from itertools import product
from typing import Any, Final, Literal

from pydicom.dataset import Dataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom import build_context, build_role, evt
from pynetdicom.presentation import PresentationContext

from radiolucent.errors import QueryFailed, UnreadableFile
from radiolucent.ingest.dimse_peer import DimsePeer, answers, associated, said
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
from radiolucent.ingest.spool import FileMeta, Spool

LOG: Final = logging.getLogger(__name__)
_FIND, _MOVE, _GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3))
_IMAGES: Final = tuple(
    f"1.2.840.10008.5.1.4.1.1.{number}"
    for number in (
        "1",
        "1.1",
        "1.1.1",
        "1.2",
        "2",
        "2.1",
        "4",
        "4.1",
        "7",
        "12.1",
        "128",
        "20",
        "88.22",
        "88.33",
        "66.4",
    )
)
"""CR, DX, mammography, CT, MR with their enhanced forms, captures, angiography, PET, NM, reports, segmentations."""
_ENCODINGS: Final[tuple[tuple[str, ...], ...]] = (
    (ExplicitVRLittleEndian, ImplicitVRLittleEndian),
    (JPEGLosslessSV1,),
    (JPEG2000Lossless,),
    (JPEGLSLossless,),
    (RLELossless,),
    (JPEGBaseline8Bit,),
)
"""A context each, so that the PACS can send every image as it has it."""
_LIMIT: Final = 5000


@dataclass(frozen=True, kw_only=True)
class DimsePacs:
    """A PACS with DIMSE services.

    Parameters
    ----------
    spool : where fetched objects are written on their way to the receiver (C-GET).
    fetch_by : ``get`` brings objects over the association that asks; ``move`` has the PACS send them to `move_to`.
    move_to : AE title under which the PACS knows this gateway's listener.
    """

    peer: DimsePeer
    spool: Spool
    fetch_by: Literal["get", "move"] = "get"
    move_to: str = ""

    def __post_init__(self) -> None:
        if self.fetch_by == "move" and not self.move_to:
            raise ValueError("C-MOVE needs the AE title that the PACS sends to")

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return self.peer.name

    def find_studies(self, query: StudyQuery) -> tuple[StudyMatch, ...]:
        """Studies that match. Raises `QueryFailed`."""
        wanted = _keys("STUDY", STUDY_KEYS)
        for keyword, asked in (
            ("PatientID", query.patient_id),
            ("StudyInstanceUID", query.study_instance_uid),
            ("AccessionNumber", query.accession_number),
            ("StudyDate", query.dates),
            ("ModalitiesInStudy", query.modality),
        ):
            if asked:
                setattr(wanted, keyword, asked)
        found = [study_match(answer) for answer in self._find(wanted)]
        return tuple(one for one in found if one is not None and fits(one, query))

    def find_series(self, study_instance_uid: str) -> tuple[SeriesMatch, ...]:
        """Series of one study. Raises `QueryFailed`."""
        wanted = _keys("SERIES", SERIES_KEYS)
        wanted.StudyInstanceUID = study_instance_uid
        found = [series_match(answer) for answer in self._find(wanted)]
        return tuple(one for one in found if one is not None)

    def fetch(self, study_instance_uid: str, receiver: Receiver, *, way: Way) -> Fetched:
        """Bring all instances of one study here; with C-MOVE they come to the listener.

        Raises
        ------
        QueryFailed
            If the PACS refuses or stops answering. What came until then is kept.
        """
        wanted = Dataset()
        wanted.QueryRetrieveLevel = "STUDY"
        wanted.StudyInstanceUID = study_instance_uid
        if self.fetch_by == "move":
            with associated(self.peer, [build_context(_MOVE)]) as association:
                return self._end(association.send_c_move(wanted, self.move_to, _MOVE), Counter())
        return self._get(wanted, receiver, way)

    def _find(self, wanted: Dataset) -> list[Dataset]:
        with associated(self.peer, [build_context(_FIND)]) as association:
            return answers(self.peer, association.send_c_find(wanted, _FIND), limit=_LIMIT)

    def _get(self, wanted: Dataset, receiver: Receiver, way: Way) -> Fetched:
        association_id, counts = uuid.uuid4().hex, Counter[Outcome]()

        def store(event: Any) -> int:
            outcome = self._store(event, receiver, way, association_id)
            counts[outcome] += 1
            return ANSWERS[outcome].dimse_status

        contexts: list[PresentationContext] = [build_context(_GET)]
        contexts += [build_context(uid, list(syntaxes)) for uid, syntaxes in product(_IMAGES, _ENCODINGS)]
        roles = [build_role(uid, scp_role=True) for uid in _IMAGES]
        fetched: Fetched | None = None
        try:
            with associated(self.peer, contexts, roles=roles, handlers=[(evt.EVT_C_STORE, store)]) as association:
                fetched = self._end(association.send_c_get(wanted, _GET), counts)
        finally:
            receiver.association_ended(association_id, aborted=fetched is None)
        return fetched

    def _store(self, event: Any, receiver: Receiver, way: Way, association_id: str) -> Outcome:
        request = event.request
        meta = FileMeta(
            sop_class_uid=str(request.AffectedSOPClassUID),
            sop_instance_uid=str(request.AffectedSOPInstanceUID),
            transfer_syntax_uid=str(event.context.transfer_syntax),
            source_ae=self.peer.called_ae,
            receiving_ae=self.peer.calling_ae,
        )
        try:
            with self.spool.begin() as file:
                file.write(meta.encode())
                file.write(event.encoded_dataset(include_meta=False))
                instance = identify(
                    file.close(),
                    way=way,
                    association_id=association_id,
                    calling_ae=self.peer.called_ae,
                    called_ae=self.peer.calling_ae,
                    peer_address=self.peer.host,
                    expected={"SOPInstanceUID": meta.sop_instance_uid},
                )
                return receiver.receive(instance)
        except UnreadableFile as error:
            LOG.warning("an object fetched from %s can't be understood: %s", self.name, error.code)
            return Outcome.NOT_UNDERSTOOD
        except Exception as error:  # noqa: BLE001 - whatever fails in a receiver, the PACS must hear that it failed
            LOG.error("an object fetched from %s was not kept: %s", self.name, type(error).__name__)
            return Outcome.FAILED

    def _end(self, responses: Any, counts: Counter[Outcome]) -> Fetched:
        said_all = [status for status, _ in responses]
        status = said_all[-1] if said_all else Dataset()
        code = status.get("Status")
        # a warning (B000) says that some sub-operations failed; which is in `failed`
        if code not in (0x0000, 0xB000):
            raise QueryFailed(f"{self.name} ended a retrieval with {said(status)}")
        return Fetched(
            outcomes=counts,
            completed=int(status.get("NumberOfCompletedSuboperations") or 0),
            failed=int(status.get("NumberOfFailedSuboperations") or 0),
        )


def _keys(level: str, keywords: tuple[str, ...]) -> Dataset:
    wanted = Dataset()
    wanted.QueryRetrieveLevel = level
    for keyword in keywords:
        setattr(wanted, keyword, None)
    return wanted
