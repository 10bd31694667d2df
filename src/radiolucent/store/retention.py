"""Which studies' images nobody needs any more: everything of them has come to its end."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, select

from radiolucent.store.records import StudyRecord, record
from radiolucent.store.states import DELIVERY_STATES, INSTANCE_STATES, REVISION_STATES, STUDY_STATES, names
from radiolucent.store.study_tables import DeliveryRow, InstanceRow, RevisionRow, StudyRow
from radiolucent.store.unit_of_work import Work

NEVER_REMOVED = ("failed",)
"""A study whose reading failed keeps its images: it was never read."""


class Removable:
    """The studies whose images may be removed."""

    def __init__(self, work: Work) -> None:
        self._session = work.session

    def studies(self) -> tuple[StudyRecord, ...]:
        """All of them that still have files, the longest finished first."""
        with_files = select(InstanceRow.id).where(
            InstanceRow.study_instance_uid == StudyRow.study_instance_uid, InstanceRow.removed_at.is_(None)
        )
        wanted = select(StudyRow).where(_at_its_end(), with_files.exists()).order_by(StudyRow.last_received_at)
        return tuple(record(StudyRecord, row) for row in self._session.scalars(wanted))

    def is_removable(self, study_instance_uid: str) -> bool:
        """Whether everything of this study has come to its end."""
        wanted = select(StudyRow).where(StudyRow.study_instance_uid == study_instance_uid, _at_its_end())
        return self._session.scalars(wanted).one_or_none() is not None


def _at_its_end() -> ColumnElement[bool]:
    """Study, instances, revisions and deliveries are all in a terminal state, and it was read, refused or kept.

    Nor is it the prior of a study that is to be read.
    """

    def none_open(table: Any, done: tuple[str, ...]) -> ColumnElement[bool]:
        open_ones = select(table).where(
            table.study_instance_uid == StudyRow.study_instance_uid, table.state.not_in(done)
        )
        return ~open_ones.exists()

    compared = select(RevisionRow.number).where(
        RevisionRow.prior_study_instance_uid == StudyRow.study_instance_uid,
        RevisionRow.state.not_in(names(REVISION_STATES, terminal=True)),
    )
    done = [name for name in names(STUDY_STATES, terminal=True) if name not in NEVER_REMOVED]
    return and_(
        StudyRow.state.in_(done),
        ~compared.exists(),
        none_open(InstanceRow, names(INSTANCE_STATES, terminal=True)),
        none_open(RevisionRow, names(REVISION_STATES, terminal=True)),
        none_open(DeliveryRow, names(DELIVERY_STATES, terminal=True)),
    )
