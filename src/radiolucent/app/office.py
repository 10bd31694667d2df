"""What the administration may ask of a running gateway: its nodes, its queues, its archive, its thresholds, uploads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from radiolucent.app.nodes import Node, nodes_of
from radiolucent.app.parts import Parts
from radiolucent.app.thresholds import with_kept_points
from radiolucent.findings.operating_points import OperatingPoints, load_operating_points
from radiolucent.ingest.receiving import Receiver
from radiolucent.ingest.spool import Spool
from radiolucent.ingest.upload import Uploaded, take_upload
from radiolucent.pipeline.coordinating import plan_again
from radiolucent.pipeline.read_study import Options
from radiolucent.pipeline.retention import Limits
from radiolucent.store.instances import Instances
from radiolucent.store.records import RevisionRecord
from radiolucent.store.studies import Studies
from radiolucent.store.unit_of_work import Work

UPLOADS: Final = "uploads"


def _nothing() -> None: ...


@dataclass(frozen=True, kw_only=True)
class Office:
    """One for each gateway; the pages have it.

    Parameters
    ----------
    receiver, spool : what is uploaded goes the way of what scanners send.
    wake : has the coordinator look at once.
    of_file : thresholds that the settings name; what the administration sets goes over them.
    """

    parts: Parts
    receiver: Receiver
    spool: Spool
    wake: Callable[[], None] = _nothing
    nodes: tuple[Node, ...] = ()
    of_file: OperatingPoints | None = None

    @property
    def limits(self) -> Limits:
        """How long images are kept."""
        archive = self.parts.settings.archive
        return Limits(maximum_bytes=int(archive.maximum_gib * 2**30), maximum_days=archive.maximum_days)

    @property
    def uploads(self) -> Path:
        """Where uploads lie until they are taken in."""
        return self.parts.store.folder / UPLOADS

    def points(self) -> OperatingPoints | None:
        """The site's thresholds that hold now."""
        of_file = Options(operating_points=self.of_file)
        return with_kept_points(of_file, self.parts.store, self.parts.bundles).operating_points

    def read_again(self, work: Work, study_instance_uid: str, *, at: datetime) -> RevisionRecord:
        """Plan a new reading of a study. Raises `NoSuchStudy`."""
        return plan_again(
            work,
            study_instance_uid,
            self.parts.routes,
            self.parts.engine_digests,
            compare_with_priors=self.parts.settings.work.compare_with_priors,
            at=at,
        )

    def take(self, path: Path, *, peer_address: str = "") -> Uploaded:
        """Take an upload in. A study that only people upload is whole with it, and read at once.

        Raises
        ------
        UnsafeArchive, NothingToRead, OutOfSpace
            As `ingest.upload.take_upload` does.
        """
        taken = take_upload(path, self.spool, self.receiver, peer_address=peer_address)
        with self.parts.store.begin() as work:
            for study in taken.studies:
                objects = Instances(work).of_study(study)
                used = [one for one in objects if one.state != "conflict"]
                if all(one.source_kind == "upload" for one in used):
                    Studies(work).expect(study, len(used))
        self.wake()
        return taken


def office_of(parts: Parts, receiver: Receiver, *, wake: Callable[[], None] = _nothing) -> Office:
    """The office of a gateway."""
    spool = Spool(parts.archive.incoming, minimum_free_bytes=parts.archive.watermark_bytes)
    file = parts.settings.work.thresholds
    return Office(
        parts=parts,
        receiver=receiver,
        spool=spool,
        wake=wake,
        nodes=nodes_of(parts),
        of_file=load_operating_points(file) if file else None,
    )
