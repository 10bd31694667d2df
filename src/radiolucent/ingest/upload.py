"""What a person hands over in a browser: a DICOM file or a zip, each object taken in as if a scanner had sent it."""

from __future__ import annotations

import shutil
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from radiolucent.errors import NothingToRead, OutOfSpace, SenderError, UnreadableFile
from radiolucent.imaging.archive import Source, file_source, is_zip, zip_sources
from radiolucent.ingest.receiving import ANSWERS, Outcome, Receiver, Way, identify
from radiolucent.ingest.spool import Spool

_NO_ROOM: Final = "the archive is full: try again once there is room"


@dataclass(kw_only=True)
class Uploaded:
    """What became of an upload.

    Parameters
    ----------
    studies : Study Instance UIDs of what is kept, in the order they were met.
    outcomes : how many objects met which fate.
    reasons : why files were refused, each once; never a file's own name, which may be a patient's.
    """

    studies: list[str] = field(default_factory=list)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    reasons: list[str] = field(default_factory=list)


def take_upload(path: Path, spool: Spool, receiver: Receiver, *, peer_address: str = "") -> Uploaded:
    """Hand every object of a file or zip to the receiver. All of them are one association, which the caller ends.

    Parameters
    ----------
    path : what was uploaded, whole; it stays.

    Returns
    -------
    What became of it. Files of a zip that aren't DICOM are counted and left out, as on a CD.

    Raises
    ------
    UnsafeArchive
        If a zip could do harm: nothing of it is taken.
    NothingToRead
        If no object in it could be kept.
    OutOfSpace
        If the archive is full.
    """
    sources = zip_sources(path) if is_zip(path) else [file_source(path, name="upload")]
    taken, association_id = Uploaded(), uuid.uuid4().hex
    try:
        for source in sources:
            _take(source, taken, spool, receiver, association_id, peer_address)
    finally:
        receiver.association_ended(association_id, aborted=False)
    if taken.outcomes[Outcome.OUT_OF_SPACE]:
        raise OutOfSpace(_NO_ROOM)
    if not taken.studies:
        raise NothingToRead(f"nothing of it can be kept: {'; '.join(taken.reasons) or 'it is empty'}")
    return taken


def _take(
    source: Source, taken: Uploaded, spool: Spool, receiver: Receiver, association_id: str, peer_address: str
) -> None:
    try:
        with spool.begin() as file, source.open() as stream:
            shutil.copyfileobj(stream, file, 1 << 20)
            instance = identify(file.close(), way=Way.UPLOAD, association_id=association_id, peer_address=peer_address)
            outcome, reason = receiver.receive(instance), ""
            if ANSWERS[outcome].accepted and instance.study_instance_uid not in taken.studies:
                taken.studies.append(instance.study_instance_uid)
    except UnreadableFile as error:
        outcome, reason = Outcome.NOT_UNDERSTOOD, error.reason
    except OutOfSpace:
        outcome, reason = Outcome.OUT_OF_SPACE, _NO_ROOM
    except SenderError as error:
        outcome, reason = Outcome.NOT_UNDERSTOOD, str(error)
    taken.outcomes[outcome] += 1
    reason = reason or ANSWERS[outcome].comment
    if not ANSWERS[outcome].accepted and reason not in taken.reasons:
        taken.reasons.append(reason)
