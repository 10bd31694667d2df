"""Where the pages get studies from: a folder of readings (demo, uploads) or the gateway's store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from pydicom.dataset import Dataset

from radiolucent.errors import NoSuchStudy, SenderError
from radiolucent.findings.reading import EngineRef, Reading
from radiolucent.imaging.header import text
from radiolucent.imaging.study import Study
from radiolucent.results.reading_json import readings_from_json, unpack_evidence
from radiolucent.store.activity import Activity, Found, GateCount, StudyDone, gate_counts
from radiolucent.store.facts import Facts, FindingFact, facts_of, reason_of
from radiolucent.store.origins import Origins
from radiolucent.store.records import ReadingRecord, StudyRecord
from radiolucent.store.revisions import Readings
from radiolucent.store.room import Room
from radiolucent.store.studies import Filters, Studies
from radiolucent.store.unit_of_work import Store, Work
from radiolucent.store.worklist import Line, Query, Worklist
from radiolucent.web.image_files import header_of, loaded, of_files
from radiolucent.web.kept import Kept
from radiolucent.web.listing import done_of, found_in, listed, word_of

_CAUGHT_UP = 50
LOST = "its result can't be read from disk"


@dataclass(frozen=True, kw_only=True)
class Summary:
    """One study as the worklist needs it.

    Parameters
    ----------
    state : ``done``, ``partly-read``, ``not-read``, ``waiting``, ``failed``, ``kept`` or ``withdrawn``.
    reason : why there is no (whole) reading, or empty.
    reading : None where there is none yet.
    digest : SHA-256 of the reading's document; tells which reading a decision was about.
    folder : where the reading's files lie; None where there is none.
    """

    study_instance_uid: str
    patient_id: str
    study_date: str
    study_time: str
    description: str
    modality: str
    accession_number: str
    received_at: datetime
    state: str
    reason: str
    reading: Reading | None
    digest: str
    revision: int = 1
    folder: Path | None = None

    @property
    def result_id(self) -> str:
        """Names this reading in addresses: study and revision."""
        return f"{self.study_instance_uid}:{self.revision}"


@dataclass(frozen=True, kw_only=True)
class OpenStudy:
    """A study with its images, and its prior where there is one; `study` is None where no image can be read."""

    summary: Summary
    study: Study | None
    prior: OpenStudy | None = None


class Source(Protocol):
    """What the pages ask for studies."""

    def every(self) -> list[Summary]:
        """All studies, in any order."""

    def summary(self, study_instance_uid: str) -> Summary | None:
        """One study, without its images."""

    def open(self, study_instance_uid: str) -> OpenStudy | None:
        """One study, with its images; a prior can be opened by its own UID too."""

    def with_series(self, series_instance_uid: str) -> OpenStudy | None:
        """The study, or prior, that holds this series."""

    def page(self, work: Work, query: Query) -> tuple[list[Line], int]:
        """One page of the worklist, and how many lines there are on all pages."""

    def arrived_since(self, work: Work, moment: datetime) -> int:
        """How many studies came after this moment."""

    def newest(self, work: Work) -> datetime | None:
        """When the last one came."""

    def modalities(self, work: Work) -> list[str]:
        """Every modality there is."""

    def engines(self) -> list[EngineRef]:
        """Every engine that has read something; without digest where no reading is looked at."""

    def activity(self, work: Work, since: datetime) -> list[StudyDone]:
        """Every study that came since then, with its times and its end."""

    def gate(self, work: Work, since: datetime) -> list[GateCount]:
        """What the quality gate decided in readings since then."""

    def scores(self, work: Work, engine: str, finding: str, limit: int) -> list[FindingFact]:
        """One finding of one engine (``name@version``) in the latest readings, the newest first."""

    def found(self, work: Work, since: datetime) -> list[Found]:
        """Every finding, positive or not, of the readings since then, oldest first."""

    def header(self, study_instance_uid: str) -> Dataset | None:
        """The header of one image of a study, where one can be read."""


class FolderSource:
    """Folders as ``radiolucent demo`` and the upload write them.

    Each folder below `root` holds ``study/`` and ``reading/``, and may hold ``prior/`` with ``prior-reading/``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._readings, self._studies = Kept(256), Kept()

    def every(self) -> list[Summary]:
        return [summary for case in self._cases() for summary in self._of(case, "study", "reading")]

    def summary(self, study_instance_uid: str) -> Summary | None:
        return next((one for one in self.every() if one.study_instance_uid == study_instance_uid), None)

    def open(self, study_instance_uid: str) -> OpenStudy | None:
        for case in self._cases():
            priors = [self._opened(one, case / "prior") for one in self._of(case, "prior", "prior-reading")]
            for one in self._of(case, "study", "reading"):
                if one.study_instance_uid == study_instance_uid:
                    prior_uid = one.reading.prior_study_instance_uid if one.reading else ""
                    wanted = [p for p in priors if p.summary.study_instance_uid == prior_uid]
                    return self._opened(one, case / "study", prior=next(iter(wanted or priors), None))
            for prior in priors:
                if prior.summary.study_instance_uid == study_instance_uid:
                    return prior
        return None

    def with_series(self, series_instance_uid: str) -> OpenStudy | None:
        for case in self._cases():
            for images, results in (("study", "reading"), ("prior", "prior-reading")):
                for one in self._of(case, images, results):
                    if series_instance_uid in _series_uids(one.reading):
                        return self.open(one.study_instance_uid)
        return None

    def page(self, work: Work, query: Query) -> tuple[list[Line], int]:
        return listed(self.every(), work, query)

    def arrived_since(self, work: Work, moment: datetime) -> int:
        return sum(one.received_at > moment for one in self.every())

    def newest(self, work: Work) -> datetime | None:
        return max((one.received_at for one in self.every()), default=None)

    def modalities(self, work: Work) -> list[str]:
        return sorted({word for one in self.every() for word in one.modality.split(", ") if word})

    def engines(self) -> list[EngineRef]:
        return [series.engine for one in self.every() if one.reading for series in one.reading.series]

    def activity(self, work: Work, since: datetime) -> list[StudyDone]:
        return [done_of(one) for one in self.every() if one.received_at >= since]

    def gate(self, work: Work, since: datetime) -> list[GateCount]:
        return gate_counts(facts_of(one.reading) for one in self.every() if one.reading and one.received_at >= since)

    def scores(self, work: Work, engine: str, finding: str, limit: int) -> list[FindingFact]:
        latest = sorted(self.every(), key=lambda one: one.received_at, reverse=True)
        facts = [facts_of(one.reading) for one in latest if one.reading]
        every = [one for fact in facts for one in (*fact.findings, *fact.below)]
        return [one for one in every if (one.engine, one.name) == (engine, finding)][:limit]

    def found(self, work: Work, since: datetime) -> list[Found]:
        latest = [one for one in self.every() if one.reading and one.received_at >= since]
        return [found for one in sorted(latest, key=lambda one: one.received_at) for found in found_in(one)]

    def header(self, study_instance_uid: str) -> Dataset | None:
        opened = self.open(study_instance_uid)
        return opened.study.header if opened and opened.study else None

    def _cases(self) -> list[Path]:
        if not self.root.is_dir():
            return []
        return sorted(path for path in self.root.iterdir() if path.is_dir() and not path.name.startswith("."))

    def _of(self, case: Path, images: str, results: str) -> list[Summary]:
        document = case / results / "reading.json"
        if not document.is_file():
            return []
        changed = document.stat().st_mtime_ns
        return self._readings.get((document, changed), lambda: self._summaries(case / images, document))

    def _summaries(self, images: Path, document: Path) -> list[Summary]:
        readings, digest = read_document(document)
        studies = {study.study_instance_uid: study for study in self._load(images)}
        received = datetime.fromtimestamp(document.stat().st_mtime, UTC)
        return [
            replace(
                summary_of(studies.get(reading.study_instance_uid), reading, digest, received_at=received),
                folder=document.parent,
            )
            for reading in readings
        ]

    def _opened(self, summary: Summary, images: Path, prior: OpenStudy | None = None) -> OpenStudy:
        found = [one for one in self._load(images) if one.study_instance_uid == summary.study_instance_uid]
        return OpenStudy(summary=summary, study=found[0] if found else None, prior=prior)

    def _load(self, images: Path) -> Sequence[Study]:
        return self._studies.get(images, lambda: loaded(images))


class StoreSource:
    """The gateway's studies: rows in the store, images in its archive, readings in its folders."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._readings, self._studies = Kept(256), Kept()

    def every(self) -> list[Summary]:
        with self._store.read() as work:
            lines = Studies(work).list(Filters(limit=1000))
        return [self._summary(line.study, line.reading) for line in lines]

    def summary(self, study_instance_uid: str) -> Summary | None:
        with self._store.read() as work:
            study, latest = Studies(work).find(study_instance_uid), Readings(work).latest(study_instance_uid)
        return self._summary(study, latest) if study else None

    def open(self, study_instance_uid: str) -> OpenStudy | None:
        summary = self.summary(study_instance_uid)
        if summary is None:
            return None
        with self._store.read() as work:
            try:
                instances = Studies(work).show(study_instance_uid).instances
            except NoSuchStudy:
                return None
        paths = [self._store.folder / one.path for one in instances if one.state != "conflict" and not one.removed_at]
        study = self._studies.get((study_instance_uid, len(paths)), lambda: of_files(paths, study_instance_uid))
        uid = summary.reading.prior_study_instance_uid if summary.reading else ""
        prior = self.open(uid) if uid and uid != study_instance_uid else None
        return OpenStudy(summary=summary, study=study, prior=prior)

    def with_series(self, series_instance_uid: str) -> OpenStudy | None:
        uid = self._study_of(series_instance_uid)
        return self.open(uid) if uid else None

    def page(self, work: Work, query: Query) -> tuple[list[Line], int]:
        self.catch_up(work)
        return Worklist(work).page(query)

    def arrived_since(self, work: Work, moment: datetime) -> int:
        return Worklist(work).arrived_since(moment)

    def newest(self, work: Work) -> datetime | None:
        return Worklist(work).newest()

    def modalities(self, work: Work) -> list[str]:
        return Worklist(work).modalities()

    def engines(self) -> list[EngineRef]:
        with self._store.read() as work:
            labels = [label.partition("@") for label in Facts(work).engines()]
        return [EngineRef(name=name, version=version, digest="") for name, _, version in labels]

    def activity(self, work: Work, since: datetime) -> list[StudyDone]:
        return Activity(work).studies(since)

    def gate(self, work: Work, since: datetime) -> list[GateCount]:
        return Activity(work).gate(since)

    def scores(self, work: Work, engine: str, finding: str, limit: int) -> list[FindingFact]:
        return Facts(work).scores(engine, finding, limit=limit)

    def found(self, work: Work, since: datetime) -> list[Found]:
        return Activity(work).found(since)

    def header(self, study_instance_uid: str) -> Dataset | None:
        with self._store.read() as work:
            path = Origins(work).file_of(study_instance_uid)
        return header_of(self._store.folder / path) if path else None

    def catch_up(self, work: Work) -> None:
        """Keep the facts of readings that an earlier version made, a few at a time."""
        for found in Facts(work).missing(limit=_CAUGHT_UP):
            reading = self._reading(found)
            if reading is not None:
                Facts(work).keep(reading, revision=found.revision)

    def _reading(self, found: ReadingRecord) -> Reading | None:
        path = self._store.folder / found.folder / "reading.json"
        try:
            return self._readings.get(found.digest, lambda: _one_of(path, found.study_instance_uid))
        except (OSError, SenderError):
            return None  # the page says that there is a result which can't be opened

    def _study_of(self, series_instance_uid: str) -> str:
        with self._store.read() as work:
            return Room(work).study_of_series(series_instance_uid)

    def _summary(self, study: StudyRecord, found: ReadingRecord | None) -> Summary:
        """With the latest reading that stands: while a newer revision is read, the earlier one still counts."""
        stands = found is not None and found.withdrawn_at is None
        reading = self._reading(found) if found is not None and stands else None
        return Summary(
            study_instance_uid=study.study_instance_uid,
            patient_id=study.patient_id,
            study_date=study.study_date,
            study_time=study.study_time,
            description=study.description,
            modality=study.modalities,
            accession_number=study.accession_number,
            received_at=study.first_received_at,
            state=_state(reading) if reading else word_of(study.state),
            reason=study.reason or (reason_of(reading) if reading else LOST if stands else study.state),
            reading=reading,
            digest=found.digest if found else "",
            revision=found.revision if found else study.latest_revision or 1,
            folder=self._store.folder / found.folder if found else None,
        )


def read_document(path: Path) -> tuple[list[Reading], str]:
    """The readings of a folder that `pipeline.output` wrote, and the SHA-256 of their document.

    Raises
    ------
    UnreadableFile
        If the document or its maps aren't what was written.
    """
    data = path.read_bytes()
    maps = unpack_evidence((path.parent / "evidence.npz").read_bytes())
    return readings_from_json(json.loads(data), maps, path=path.name), hashlib.sha256(data).hexdigest()


def summary_of(study: Study | None, reading: Reading, digest: str, *, received_at: datetime) -> Summary:
    """One study as the worklist needs it, from its headers and its reading."""
    known = {name: text(study.header, name) if study else "" for name in _KEYWORDS}
    modalities = [one.modality for one in reading.series] + [one.modality for one in reading.unread]
    return Summary(
        study_instance_uid=reading.study_instance_uid,
        patient_id=known["PatientID"],
        study_date=known["StudyDate"],
        study_time=known["StudyTime"],
        description=known["StudyDescription"],
        modality=", ".join(dict.fromkeys(modalities)),
        accession_number=known["AccessionNumber"],
        received_at=received_at,
        state=_state(reading),
        reason=reason_of(reading),
        reading=reading,
        digest=digest,
    )


_KEYWORDS = ("PatientID", "StudyDate", "StudyTime", "StudyDescription", "AccessionNumber")


def _state(reading: Reading) -> str:
    return "done" if reading.state == "read" else reading.state


def _series_uids(reading: Reading | None) -> set[str]:
    if reading is None:
        return set()
    return {one.series_instance_uid for one in reading.series} | {one.series_instance_uid for one in reading.unread}


def _one_of(path: Path, uid: str) -> Reading | None:
    return next((one for one in read_document(path)[0] if one.study_instance_uid == uid), None)
