"""The messages of one revision as files: ORU^R01 and FHIR transaction, or why one can't be written."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pydicom
from pydicom.dataset import Dataset

from radiolucent.errors import EncodingError
from radiolucent.findings.reading import Reading
from radiolucent.findings.taxonomy import Code
from radiolucent.imaging.study import Stack
from radiolucent.pipeline.pictures import stacks_by_key
from radiolucent.pipeline.read_path import PathResult
from radiolucent.results.destinations.package import Package, package_files
from radiolucent.results.fhir import bundle
from radiolucent.results.hl7 import oru
from radiolucent.results.order import OrderFacts, Status, facts_of
from radiolucent.results.reading_json import readings_from_json, unpack_evidence
from radiolucent.results.withdrawal import Wording, rejection_note, withdraw
from radiolucent.store.deliveries import Deliveries
from radiolucent.store.records import ReadingRecord, RevisionRecord
from radiolucent.store.revisions import Readings
from radiolucent.store.unit_of_work import Store

FOLDER: Final = "messages"
SUPERSEDES: Final = "superseded-rejection-note.dcm"
"""Sorts behind key-objects.dcm: what is new goes out first, so that no moment is without a result."""


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """What goes out for one revision, and what can't: kind of message (``oru``, ``fhir``) → why."""

    package: Package
    refused: dict[str, str] = field(default_factory=dict)


def write_messages(
    store: Store, result: PathResult, revision: RevisionRecord, folder: Path, *, viewer_url: str | None = None
) -> None:
    """Write ``messages/oru.hl7``, ``messages/fhir.json`` and ``messages/status.json`` into the folder of a reading.

    A later reading of a study whose earlier one may have been delivered is a correction. A message that can't be
    written (no patient ID) is noted with its reason, so that its destinations become dead letters and aren't silent.
    """
    one = result.results[0]
    stack = next(iter(stacks_by_key(one.study).values()), None)
    with store.read() as work:
        earlier = Readings(work).before(revision.study_instance_uid, revision.number)
        tried = earlier is not None and any(
            sent.attempts > 0 for sent in Deliveries(work).of_revision(earlier.study_instance_uid, earlier.revision)
        )
    status: Status = "corrected" if tried else "preliminary"
    before = load_reading(store, earlier) if earlier is not None and tried else None
    if earlier is not None and tried and (headers := delivered_headers(store.folder / earlier.folder)):
        made_at = revision.made_at.astimezone()
        note = rejection_note(headers, made_at=made_at, reason="superseded", revision=earlier.revision)
        place = folder / "dicom" / revision.study_instance_uid / SUPERSEDES
        place.parent.mkdir(parents=True, exist_ok=True)
        _save(note, place)
    _write(
        folder / FOLDER,
        one.reading,
        stack,
        status=status,
        made_at=revision.made_at.astimezone(),
        revision=revision.number,
        viewer_url=viewer_url,
        earlier=before,
    )


def load_reading(store: Store, kept: ReadingRecord) -> Reading:
    """A reading as it was written.

    Raises
    ------
    UnreadableFile
        If its files aren't what was written.
    """
    folder = store.folder / kept.folder
    document = json.loads((folder / "reading.json").read_text(encoding="utf-8"))
    maps = unpack_evidence((folder / "evidence.npz").read_bytes())
    return readings_from_json(document, maps, path=f"{kept.folder}/reading.json")[0]


def load_outgoing(store: Store, kept: ReadingRecord) -> Outgoing:
    """The package of a revision, from its files.

    Raises
    ------
    EncodingError
        If one of its files is no complete object.
    """
    folder = store.folder / kept.folder
    told = json.loads((folder / FOLDER / "status.json").read_text(encoding="utf-8"))
    oru_file, fhir_file = folder / FOLDER / "oru.hl7", folder / FOLDER / "fhir.json"
    package = package_files(
        sorted((folder / "dicom").rglob("*.dcm")),
        study_instance_uid=kept.study_instance_uid,
        revision=kept.revision,
        status=told["status"],
        oru=oru_file.read_bytes() if oru_file.exists() else b"",
        fhir=json.loads(fhir_file.read_text(encoding="utf-8")) if fhir_file.exists() else None,
    )
    return Outgoing(package=package, refused=told["refused"])


def load_withdrawal(store: Store, kept: ReadingRecord, *, viewer_url: str | None = None) -> Outgoing:
    """What takes a withdrawn reading back: rejection note and messages; the same bytes each time.

    Raises
    ------
    EncodingError
        If the reading isn't withdrawn, or one of its files is no complete object.
    UnreadableFile
        If its files aren't what was written.
    """
    if kept.withdrawn_at is None:
        raise EncodingError(f"revision {kept.revision} isn't withdrawn")
    folder = store.folder / kept.folder
    told = json.loads((folder / FOLDER / "status.json").read_text(encoding="utf-8"))
    if told["order"] is None:
        nothing = Package(study_instance_uid=kept.study_instance_uid, revision=kept.revision, status="withdrawn")
        return Outgoing(package=nothing, refused=told["refused"])
    made_at = kept.withdrawn_at.astimezone()
    facts = _order_from_json(told["order"])
    delivered = delivered_headers(folder)
    if told["refused"]:  # no message went out: the objects alone are taken back
        note = rejection_note(delivered, made_at=made_at, reason="rejected", revision=kept.revision)
        message, transaction = b"", None
    else:
        taken = withdraw(
            load_reading(store, kept),
            facts,
            delivered,
            made_at=made_at,
            words=kept.withdrawn_reason,
            revision=kept.revision,
            wording=Wording(viewer_url=viewer_url),
        )
        assert taken.note is not None
        note, message, transaction = taken.note, taken.oru, taken.fhir
    place = folder / FOLDER / "withdrawal-note.dcm"
    _save(note, place)
    package = package_files(
        [place],
        study_instance_uid=kept.study_instance_uid,
        revision=kept.revision,
        status="withdrawn",
        oru=message,
        fhir=json.loads(json.dumps(transaction, default=str)),
    )
    return Outgoing(package=package, refused=told["refused"])


def delivered_headers(folder: Path) -> list[Dataset]:
    """Headers of all objects of a reading, rejection notes of earlier ones left out."""
    paths = [path for path in sorted((folder / "dicom").rglob("*.dcm")) if path.name != SUPERSEDES]
    return [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]


def _save(dataset: Dataset, place: Path) -> None:
    partial = place.with_name(f".{place.name}.{os.getpid()}.{threading.get_ident()}")
    dataset.save_as(partial, enforce_file_format=True)
    partial.replace(place)


def _order_from_json(told: dict[str, Any]) -> OrderFacts:
    procedure = Code(**told["procedure"]) if told["procedure"] else None
    return OrderFacts(**{**told, "procedure": procedure})


def _write(
    folder: Path,
    reading: Reading,
    stack: Stack | None,
    *,
    status: Status,
    made_at: datetime,
    revision: int,
    viewer_url: str | None,
    earlier: Reading | None = None,
) -> None:
    folder.mkdir(exist_ok=True)
    refused: dict[str, str] = {}

    def attempt(kind: str, encode: Callable[[OrderFacts], bytes]) -> bytes:
        try:
            if stack is None:
                raise EncodingError("no image of the study could be read, so its patient and order aren't known")
            return encode(facts_of(stack))
        except EncodingError as error:
            refused[kind] = str(error)
            return b""

    message = attempt(
        "oru",
        lambda facts: oru(reading, facts, made_at=made_at, status=status, viewer_url=viewer_url, revision=revision),
    )
    transaction = attempt(
        "fhir",
        lambda facts: json.dumps(
            bundle(
                reading,
                facts,
                made_at=made_at,
                status=status,
                viewer_url=viewer_url,
                revision=revision,
                earlier=earlier,
            ),
            ensure_ascii=False,
            indent=1,
            default=str,
        ).encode(),
    )
    for name, data in (("oru.hl7", message), ("fhir.json", transaction)):
        if data:
            (folder / name).write_bytes(data)
    order = asdict(facts_of(stack)) if stack else None
    told = json.dumps({"status": status, "refused": refused, "order": order})
    (folder / "status.json").write_text(told, encoding="utf-8")
