"""How long images and maps on request are kept: limits of age and size; what is still needed is never removed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from radiolucent.explain.cache import ExplanationCache
from radiolucent.store.archive import Archive
from radiolucent.store.instances import Instances
from radiolucent.store.records import InstanceRecord, StudyRecord
from radiolucent.store.retention import Removable
from radiolucent.store.site import Site
from radiolucent.store.unit_of_work import Store

LOG: Final = logging.getLogger(__name__)
EXPLANATIONS: Final = "explanations"
"""Folder of maps made on request, below the store's."""
_ORPHAN_AGE_S: Final = 24 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Of the archive; 0 is no limit."""

    maximum_bytes: int = 0
    maximum_days: int = 0


@dataclass(frozen=True, kw_only=True)
class Removal:
    """A study whose images the limits would remove, how large they are, and for which limit."""

    study: StudyRecord
    bytes: int
    why: Literal["age", "size"]


def to_remove(store: Store, limits: Limits, *, at: datetime) -> list[Removal]:
    """What `keep_limits` would remove now, the longest finished first; nothing is touched."""
    with store.read() as work:
        kept_bytes = Instances(work).bytes_kept()
        candidates = Removable(work).studies()
        sizes = Instances(work).bytes_by_study([study.study_instance_uid for study in candidates])
    found = []
    for study in candidates:
        too_old = limits.maximum_days and at - study.last_received_at > timedelta(days=limits.maximum_days)
        too_much = limits.maximum_bytes and kept_bytes > limits.maximum_bytes
        if not too_old and not too_much:
            continue
        size = sizes.get(study.study_instance_uid, 0)
        kept_bytes -= size
        found.append(Removal(study=study, bytes=size, why="age" if too_old else "size"))
    return found


def keep_limits(store: Store, archive: Archive, limits: Limits, *, at: datetime) -> int:
    """Remove images of the studies that were finished longest ago until the limits hold. Gives how many files.

    Only studies are touched of which everything is at its end: each instance in a terminal state, no revision under
    way, no delivery waiting or dead. Their rows, readings and results stay.
    """
    removed = sum(len(_remove(store, archive, one.study, at)) for one in to_remove(store, limits, at=at))
    if removed:
        LOG.info("retention removed %d files", removed)
    return removed


def remove_orphans(store: Store, archive: Archive, *, at: datetime) -> int:
    """Remove files without a row that are older than a day: their senders were never told that they were stored."""
    with store.read() as work:
        known = Instances(work).paths()
    removed = 0
    for place in archive.files():
        path = archive.root / place
        if place not in known and at.timestamp() - path.stat().st_mtime > _ORPHAN_AGE_S:
            archive.remove(place)
            removed += 1
    return removed


def forget_explanations(store: Store, *, at: datetime) -> int:
    """Remove maps made on request that are older or more than the site keeps; how many. Asked for, they are made anew.

    What was shown can be drawn all the same: engine, seed and frame stand in the trail, the images in the archive.
    """
    with store.read() as work:
        days, mib = (int(Site(work).setting(name)) for name in ("explanation_days", "explanation_mib"))
    before = (at - timedelta(days=days)).timestamp()
    return ExplanationCache(store.folder / EXPLANATIONS).forget(before=before, most_bytes=mib << 20)


def _remove(store: Store, archive: Archive, study: StudyRecord, at: datetime) -> list[InstanceRecord]:
    """First the rows say so, then the files go: a crash between leaves orphans, never a row without its file."""
    with store.begin() as work:
        if not Removable(work).is_removable(study.study_instance_uid):
            return []
        kept = [one for one in Instances(work).of_study(study.study_instance_uid) if one.removed_at is None]
        Instances(work).removed([one.id for one in kept], at=at)
    for one in kept:
        archive.remove(one.path)
    return kept
