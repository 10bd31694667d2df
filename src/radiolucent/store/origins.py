"""Of which group of patients and from which scanner a study is: what figures by group are made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath

from sqlalchemy import func, select

from radiolucent.store.facts_tables import OriginRow
from radiolucent.store.records import record
from radiolucent.store.study_tables import InstanceRow
from radiolucent.store.unit_of_work import Work

_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The groups of one study (`OriginRow`)."""

    study_instance_uid: str
    sex: str
    age: str
    scanner: str


class Origins:
    """The origins of studies, as one transaction sees them."""

    def __init__(self, work: Work) -> None:
        self._session = work.session

    def of(self, studies: Iterable[str]) -> dict[str, Origin]:
        """Those that are known of these studies."""
        wanted, found = sorted(set(studies)), dict[str, Origin]()
        for start in range(0, len(wanted), _AT_ONCE):
            some = OriginRow.study_instance_uid.in_(wanted[start : start + _AT_ONCE])
            rows = self._session.scalars(select(OriginRow).where(some))
            found |= {row.study_instance_uid: record(Origin, row) for row in rows}
        return found

    def keep(self, origins: Iterable[Origin]) -> None:
        """Keep them; what was known of a study is replaced."""
        for one in origins:
            self._session.merge(OriginRow(**asdict(one)))
        self._session.flush()

    def file_of(self, study: str) -> PurePosixPath | None:
        """Path in the archive of one image of a study, or None where none is kept."""
        kept = (
            InstanceRow.study_instance_uid == study,
            InstanceRow.removed_at.is_(None),
            InstanceRow.state != "conflict",
        )
        first = select(func.min(InstanceRow.id)).where(*kept).scalar_subquery()
        path = self._session.scalars(select(InstanceRow.path).where(InstanceRow.id == first)).first()
        return PurePosixPath(path) if path else None
