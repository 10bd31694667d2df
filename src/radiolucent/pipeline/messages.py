"""The messages of one revision as files: ORU^R01 and FHIR transaction, or why one can't be written."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import pydicom
from pydicom.dataset import Dataset

from radiolucent.errors import EncodingError
from radiolucent.findings.reading import Reading
from radiolucent.findings.taxonomy import Code
from radiolucent.pipeline.ordering import order_facts
from radiolucent.pipeline.pictures import stacks_by_key
from radiolucent.pipeline.read_path import PathResult
from radiolucent.results.destinations.package import Package, package_files
from radiolucent.results.fhir import bundle
from radiolucent.results.hl7 import oru
from radiolucent.results.order import OrderFacts, Status, facts_of
from radiolucent.results.provenance import Provenance
from radiolucent.results.reading_json import readings_from_json, unpack_evidence
from radiolucent.results.withdrawal import Wording, name_predecessors, rejection_note, withdraw
from radiolucent.results.worklist_flag import encode_flag, flag_text
from radiolucent.store.archive import sync_tree
from radiolucent.store.deliveries import Deliveries
from radiolucent.store.records import ReadingRecord, RevisionRecord
from radiolucent.store.revisions import Readings
from radiolucent.store.unit_of_work import Store

FOLDER: Final = "messages"
ORU: Final = "oru.hl7"
FHIR: Final = "fhir.json"
STATUS: Final = "status.json"
FLAG: Final = "worklist-flag.dcm"
SUPERSEDES: Final = "superseded-rejection-note.dcm"
"""Sorts behind key-objects.dcm: what is new goes out first, so that no moment is without a result."""


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """What goes out for one revision, and what can't: kind of message (``oru``, ``fhir``) → why."""

    package: Package
    refused: dict[str, str] = field(default_factory=dict)


def write_messages(
    store: Store, result: PathResult, revision: RevisionRecord, folder: Path, *, wording: Wording | None = None
) -> None:
    """Write ``messages/`` into the folder of a reading: ORU, FHIR, the flag, and what they were made of.

    A message that can't be written (no patient ID) is noted with its reason, so that its destinations become dead
    letters and aren't silent.
    """
    one = result.results[0]
    stack = next(iter(stacks_by_key(one.study).values()), None)
    made_at = revision.made_at.astimezone()
    (folder / FOLDER).mkdir(exist_ok=True)
    told = _Told(order=facts_of(stack) if stack else None)
    if told.order is not None:
        with store.read() as work:
            told = replace(told, order=order_facts(work, revision.study_instance_uid, told.order))
    if stack and one.reading.series:
        provenance = Provenance(
            made_at=made_at, study_instance_uid=revision.study_instance_uid, revision=revision.number
        )
        language = (wording or Wording()).language
        flag = encode_flag(one.reading, stack, provenance, language=language)
        if flag is not None:
            _save(flag, folder / FOLDER / FLAG)
            told = replace(told, flag=flag_text(one.reading, language=language))
    with store.read() as work:
        earlier = Deliveries(work).sent_before(revision.study_instance_uid, revision.number)
    _settle(store, one.reading, revision, folder, told, earlier, wording or Wording())


def settle_messages(store: Store, kept: ReadingRecord, revision: RevisionRecord, *, wording: Wording) -> bool:
    """See that the messages of a reading speak of all that went out before it; whether they had to be written anew.

    Between its reading and its delivery an earlier revision may have gone out. To be called once no more of those can.

    Raises
    ------
    UnreadableFile
        If the reading's files aren't what was written.
    """
    folder = store.folder / kept.folder
    told = _load_told(folder)
    with store.read() as work:
        earlier = Deliveries(work).sent_before(kept.study_instance_uid, kept.revision)
    if told.supersedes == earlier:
        return False
    _settle(store, load_reading(store, kept), revision, folder, told, earlier, wording)
    sync_tree(folder)
    return True


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
    told = _load_told(folder)
    oru_file, fhir_file, flag_file = (folder / FOLDER / name for name in (ORU, FHIR, FLAG))
    package = package_files(
        sorted((folder / "dicom").rglob("*.dcm")),
        study_instance_uid=kept.study_instance_uid,
        revision=kept.revision,
        status=told.status,
        oru=oru_file.read_bytes() if oru_file.exists() else b"",
        fhir=json.loads(fhir_file.read_text(encoding="utf-8")) if fhir_file.exists() else None,
        flag=told.flag,
        flag_file=flag_file if flag_file.exists() else None,
    )
    return Outgoing(package=package, refused=told.refused)


def load_order(store: Store, kept: ReadingRecord) -> OrderFacts:
    """What is known of patient and order; nothing where no image of the study could be read."""
    return _load_told(store.folder / kept.folder).order or OrderFacts()


def load_withdrawal(store: Store, kept: ReadingRecord, *, wording: Wording | None = None) -> Outgoing:
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
    told = _load_told(folder)
    if told.order is None:
        nothing = Package(study_instance_uid=kept.study_instance_uid, revision=kept.revision, status="withdrawn")
        return Outgoing(package=nothing, refused=told.refused)
    made_at = kept.withdrawn_at.astimezone()
    delivered = delivered_headers(folder)
    if told.refused:  # no message went out: the objects alone are taken back
        note = rejection_note(delivered, made_at=made_at, reason="rejected", revision=kept.revision)
        message, transaction = b"", None
    else:
        taken = withdraw(
            load_reading(store, kept),
            told.order,
            delivered,
            made_at=made_at,
            words=kept.withdrawn_reason,
            revision=kept.revision,
            wording=wording,
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
    return Outgoing(package=package, refused=told.refused)


def delivered_headers(folder: Path) -> list[Dataset]:
    """Headers of all objects of a reading and of its flag, rejection notes of earlier ones left out."""
    paths = [path for path in sorted((folder / "dicom").rglob("*.dcm")) if path.name != SUPERSEDES]
    flag = folder / FOLDER / FLAG
    return [pydicom.dcmread(path, stop_before_pixels=True) for path in [*paths, *([flag] if flag.exists() else [])]]


@dataclass(frozen=True, kw_only=True)
class _Told:
    """What the messages were made of: ``messages/status.json``. `supersedes` are revisions that went out before."""

    status: Status = "preliminary"
    refused: dict[str, str] = field(default_factory=dict)
    order: OrderFacts | None = None
    supersedes: tuple[int, ...] = ()
    flag: str = ""


def _load_told(folder: Path) -> _Told:
    told = json.loads((folder / FOLDER / STATUS).read_text(encoding="utf-8"))
    order = told["order"]
    if order is not None:
        procedure = Code(**order["procedure"]) if order["procedure"] else None
        order = OrderFacts(**{**order, "procedure": procedure})
    return _Told(**{**told, "order": order, "supersedes": tuple(told.get("supersedes", ()))})


def _settle(
    store: Store,
    reading: Reading,
    revision: RevisionRecord,
    folder: Path,
    told: _Told,
    earlier: tuple[int, ...],
    wording: Wording,
) -> None:
    """Write what depends on what went out before: a note that rejects it, predecessors, correction or first result."""
    uid, made_at = revision.study_instance_uid, revision.made_at.astimezone()
    with store.read() as work:
        sent = [one for number in earlier if (one := Readings(work).find(uid, number)) is not None]
    headers = [header for one in sent for header in delivered_headers(store.folder / one.folder)]
    place = folder / "dicom" / uid / SUPERSEDES
    if headers:
        note = rejection_note(headers, made_at=made_at, reason="superseded", revision=max(earlier))
        place.parent.mkdir(parents=True, exist_ok=True)
        _save(note, place)
    else:
        place.unlink(missing_ok=True)
    _name_predecessors(folder / "dicom", headers)
    before = load_reading(store, sent[-1]) if sent else None
    status: Status = "corrected" if sent else "preliminary"
    refused = _write(folder / FOLDER, reading, revision, told.order, status=status, earlier=before, wording=wording)
    told = replace(told, status=status, refused=refused, supersedes=earlier)
    _replace(folder / FOLDER / STATUS, json.dumps(asdict(told)).encode())


def _name_predecessors(folder: Path, earlier: Sequence[Dataset]) -> None:
    """Let the reports of this revision name those that they replace."""
    if not any(header.get("Modality") == "SR" for header in earlier):
        return
    for path in sorted(folder.rglob("*.dcm")):
        if pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["Modality"]).get("Modality") == "SR":
            report = pydicom.dcmread(path)
            name_predecessors([report], earlier)
            _save(report, path)


def _save(dataset: Dataset, place: Path) -> None:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    _replace(place, buffer.getvalue())


def _replace(place: Path, data: bytes) -> None:
    partial = place.with_name(f".{place.name}.{os.getpid()}.{threading.get_ident()}")
    partial.write_bytes(data)
    partial.replace(place)


def _write(
    folder: Path,
    reading: Reading,
    revision: RevisionRecord,
    order: OrderFacts | None,
    *,
    status: Status,
    earlier: Reading | None,
    wording: Wording,
) -> dict[str, str]:
    """Write ORU and FHIR; gives why one can't be written."""
    refused: dict[str, str] = {}
    shared: dict[str, Any] = {
        "made_at": revision.made_at.astimezone(),
        "status": status,
        "viewer_url": wording.viewer_url,
        "language": wording.language,
        "templates": wording.templates,
        "revision": revision.number,
    }

    def transaction(facts: OrderFacts) -> bytes:
        made = bundle(reading, facts, mapping=wording.fhir_mapping, release=wording.release, earlier=earlier, **shared)
        return json.dumps(made, ensure_ascii=False, indent=1, default=str).encode()

    writers: dict[str, tuple[str, Callable[[OrderFacts], bytes]]] = {
        "oru": (ORU, lambda facts: oru(reading, facts, mapping=wording.oru_mapping, **shared)),
        "fhir": (FHIR, transaction),
    }
    for kind, (name, encode) in writers.items():
        (folder / name).unlink(missing_ok=True)
        try:
            if order is None:
                raise EncodingError("no image of the study could be read, so its patient and order aren't known")
            _replace(folder / name, encode(order))
        except EncodingError as error:
            refused[kind] = str(error)
    return refused
