"""A PACS in memory that hands over real objects, and studies to put into a store."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydicom.dataset import Dataset

from radiolucent.errors import QueryFailed
from radiolucent.ingest.pacs import Fetched, SeriesMatch, StudyMatch, StudyQuery, fits
from radiolucent.ingest.receiving import Outcome, Receiver, Way, identify
from radiolucent.phantom.studies import PhantomStudy
from radiolucent.pipeline.receiving import StoreReceiver
from radiolucent.store.archive import Archive
from radiolucent.store.unit_of_work import Store, open_store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass(eq=False)
class SmallPacs:
    """Holds phantom studies; `away` makes it answer nothing."""

    folder: Path
    studies: list[PhantomStudy] = field(default_factory=list)
    name: str = "pacs"
    away: bool = False
    breaks: bool = False
    asked: list[StudyQuery] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)

    def find_studies(self, query: StudyQuery) -> tuple[StudyMatch, ...]:
        self.asked.append(query)
        if self.away:
            raise QueryFailed(f"{self.name} doesn't answer")
        return tuple(one for one in map(match_of, self.studies) if fits(one, query))

    def find_series(self, study_instance_uid: str) -> tuple[SeriesMatch, ...]:
        if self.away:
            raise QueryFailed(f"{self.name} doesn't answer")
        counts: dict[str, list[Dataset]] = {}
        for study in self.studies:
            for dataset in study.datasets:
                if dataset.StudyInstanceUID == study_instance_uid:
                    counts.setdefault(dataset.SeriesInstanceUID, []).append(dataset)
        return tuple(
            SeriesMatch(
                series_instance_uid=uid,
                modality=found[0].Modality,
                body_part=found[0].get("BodyPartExamined", ""),
                instances=len(found),
            )
            for uid, found in counts.items()
        )

    def fetch(self, study_instance_uid: str, receiver: Receiver, *, way: Way) -> Fetched:
        if self.breaks:
            raise QueryFailed(f"{self.name} broke off a retrieval")
        self.fetched.append(study_instance_uid)
        (study,) = [one for one in self.studies if one.datasets[0].StudyInstanceUID == study_instance_uid]
        outcomes = hand_over(study, receiver, self.folder, way=way)
        return Fetched(outcomes=outcomes, completed=outcomes.total())


def match_of(study: PhantomStudy) -> StudyMatch:
    """How a PACS lists a phantom study."""
    header = study.datasets[0]
    return StudyMatch(
        study_instance_uid=header.StudyInstanceUID,
        patient_id=header.PatientID,
        study_date=header.StudyDate,
        study_time=header.StudyTime,
        modalities=(header.Modality,),
        instances=len(study.datasets),
    )


def hand_over(study: PhantomStudy, receiver: Receiver, folder: Path, *, way: Way = Way.C_STORE) -> Counter[Outcome]:
    """Give every object of a study to a receiver, as one association."""
    association, outcomes = uuid.uuid4().hex, Counter[Outcome]()
    folder.mkdir(parents=True, exist_ok=True)
    for dataset in study.datasets:
        path = folder / f"{uuid.uuid4().hex}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        outcomes[receiver.receive(identify(path, way=way, association_id=association, calling_ae="CT1"))] += 1
        path.unlink(missing_ok=True)
    receiver.association_ended(association, aborted=False)
    return outcomes


def installation(folder: Path) -> tuple[Store, StoreReceiver]:
    """An empty store with its receiver, at `NOW`."""
    store = open_store("", folder)
    archive = Archive(root=folder, watermark_bytes=0)
    archive.prepare()
    return store, StoreReceiver(store, archive, clock=lambda: NOW)
