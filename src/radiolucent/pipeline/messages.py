"""The messages of one revision as files: ORU^R01 and FHIR transaction, or why one can't be written."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from radiolucent.errors import EncodingError
from radiolucent.findings.reading import Reading
from radiolucent.imaging.study import Stack
from radiolucent.pipeline.pictures import stacks_by_key
from radiolucent.pipeline.read_path import PathResult
from radiolucent.results.destinations.package import Package, package_files
from radiolucent.results.fhir import bundle
from radiolucent.results.hl7 import oru
from radiolucent.results.order import OrderFacts, Status, facts_of
from radiolucent.results.reading_json import readings_from_json, unpack_evidence
from radiolucent.store.deliveries import Deliveries
from radiolucent.store.records import ReadingRecord, RevisionRecord
from radiolucent.store.revisions import Readings
from radiolucent.store.unit_of_work import Store

FOLDER: Final = "messages"


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


def load_outgoing(store: Store, kept: ReadingRecord, *, withdrawal: bool = False) -> Outgoing:
    """The package of a revision, from its files; with `withdrawal` what takes it back.

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
    (folder / "status.json").write_text(json.dumps({"status": status, "refused": refused}), encoding="utf-8")
