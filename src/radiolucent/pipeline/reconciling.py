"""What a PACS holds and this gateway never saw, and the reverse: two lists of studies laid side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from radiolucent.errors import QueryFailed
from radiolucent.imaging.kinds import modalities_like
from radiolucent.ingest.pacs import Pacs, StudyMatch, StudyQuery
from radiolucent.pipeline.own_results import own_results
from radiolucent.store.studies import Filters, Studies
from radiolucent.store.unit_of_work import Store
from radiolucent.store.ways import Fetches, Reconciliations

MOST_AT_ONCE = 5000
"""A PACS that lists so many studies may have left some out."""
_EVERYTHING = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One study that isn't the same in both places; names no patient.

    Parameters
    ----------
    theirs : instances that the PACS says it has, None where it doesn't say. ours : that came in here.
    made_here : result objects of this gateway, which the PACS may count as well.
    state : of the study here, empty where it is unknown.
    """

    study_instance_uid: str
    study_date: str
    modalities: str
    theirs: int | None
    ours: int
    made_here: int = 0
    state: str = ""


@dataclass(frozen=True, kw_only=True)
class Reconciliation:
    """One comparison, of studies with a Study Date from `since` to `until`.

    Parameters
    ----------
    compared : studies that are in both places.
    never_seen : the PACS has them, and nothing of them came here.
    not_there : they came here, and the PACS hasn't them.
    different : in both places, but not the same number of images.
    """

    pacs: str
    since: str
    until: str
    compared: int
    never_seen: tuple[Difference, ...]
    not_there: tuple[Difference, ...]
    different: tuple[Difference, ...]

    @property
    def differences(self) -> int:
        """How many studies differ in any way."""
        return len(self.never_seen) + len(self.not_there) + len(self.different)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "differences": self.differences}


def reconcile(store: Store, pacs: Pacs, *, since: date, until: date, modalities: Sequence[str] = ()) -> Reconciliation:
    """Compare the studies of some days, both included.

    Parameters
    ----------
    modalities : only studies with a series of one of these; empty takes all.

    Raises
    ------
    QueryFailed
        If the PACS doesn't answer, or gives so many studies that some may be missing.
    """
    theirs = {one.study_instance_uid: one for one in _theirs(pacs, since, until, modalities)}
    ours = _ours(store, f"{since:%Y%m%d}", f"{until:%Y%m%d}", modalities)
    never_seen, different = list[Difference](), list[Difference]()
    for uid, match in theirs.items():
        here = ours.get(uid) or _here(store, uid)
        if here is None:
            never_seen.append(_unseen(match))
            continue
        made = len(own_results(store.folder, uid).instances)
        if match.instances is not None and not here.ours <= match.instances <= here.ours + made:
            different.append(Difference(**{**asdict(here), "theirs": match.instances, "made_here": made}))
    only_ours = [uid for uid in ours if uid not in theirs]
    # a date may be written differently there: what isn't in the list of days is asked for by itself
    not_there = [ours[uid] for uid in only_ours if not pacs.find_studies(StudyQuery(study_instance_uid=uid))]
    return Reconciliation(
        pacs=pacs.name,
        since=f"{since:%Y%m%d}",
        until=f"{until:%Y%m%d}",
        compared=len(theirs) - len(never_seen) + len(only_ours) - len(not_there),
        never_seen=tuple(sorted(never_seen, key=_by_date)),
        not_there=tuple(sorted(not_there, key=_by_date)),
        different=tuple(sorted(different, key=_by_date)),
    )


def keep(store: Store, found: Reconciliation, *, at: datetime) -> None:
    """Keep a comparison with the others."""
    with store.begin() as work:
        Reconciliations(work).add(found.pacs, differences=found.differences, body=found.as_json(), at=at)


@dataclass(frozen=True, kw_only=True)
class DailyReconciling:
    """The comparison of each night.

    Parameters
    ----------
    at : time of day, ``HH:MM``, by the clock that `clock` gives (of the place).
    days : studies of so many days, until yesterday: those of today are still coming.
    """

    store: Store
    pacs: Sequence[Pacs]
    at: str
    days: int
    modalities: tuple[str, ...] = ()
    clock: Callable[[], datetime] = lambda: datetime.now(UTC).astimezone()

    def turn(self) -> list[Reconciliation]:
        """Compare with each PACS that wasn't compared with since the hour of today. Raises `QueryFailed`."""
        now = self.clock()
        hour, minute = (int(part) for part in self.at.split(":"))
        due = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
        if now < due:
            return []
        with self.store.read() as work:
            last = {one.pacs: one.at for one in Reconciliations(work).latest()}
        until = now.date() - timedelta(days=1)
        since = until - timedelta(days=self.days - 1)
        found = []
        for pacs in self.pacs:
            if pacs.name in last and last[pacs.name] >= due:
                continue
            found.append(reconcile(self.store, pacs, since=since, until=until, modalities=self.modalities))
            keep(self.store, found[-1], at=now)
        return found


def _theirs(pacs: Pacs, since: date, until: date, modalities: Sequence[str]) -> list[StudyMatch]:
    """Asked in one piece; where that is more than a PACS may list, in halves."""
    found: list[StudyMatch] = []
    for modality in modalities or ("",):
        query = StudyQuery(date_from=f"{since:%Y%m%d}", date_to=f"{until:%Y%m%d}", modality=modality)
        listed = pacs.find_studies(query)
        if len(listed) >= MOST_AT_ONCE and since == until:
            raise QueryFailed(f"{pacs.name} has {len(listed)} studies of one day: name modalities to compare")
        if len(listed) >= MOST_AT_ONCE:
            middle = since + (until - since) // 2
            chosen = (modality,) if modality else ()
            listed = (
                *_theirs(pacs, since, middle, chosen),
                *_theirs(pacs, middle + timedelta(days=1), until, chosen),
            )
        found += listed
    return found


def _ours(store: Store, since: str, until: str, modalities: Sequence[str]) -> dict[str, Difference]:
    wanted = modalities_like(modalities) if modalities else frozenset[str]()
    with store.read() as work:
        lines = Studies(work).list(Filters(date_from=since, date_to=until, limit=_EVERYTHING))
        fetches = Fetches(work)
        return {
            one.study.study_instance_uid: Difference(
                study_instance_uid=one.study.study_instance_uid,
                study_date=one.study.study_date,
                modalities=one.study.modalities,
                theirs=None,
                ours=fetches.held(one.study.study_instance_uid),
                state=one.study.state,
            )
            for one in lines
            if not wanted or wanted & set(one.study.modalities.split("\\"))
        }


def _here(store: Store, uid: str) -> Difference | None:
    """A study that is here under another date."""
    with store.read() as work:
        study = Studies(work).find(uid)
        if study is None:
            return None
        return Difference(
            study_instance_uid=uid,
            study_date=study.study_date,
            modalities=study.modalities,
            theirs=None,
            ours=Fetches(work).held(uid),
            state=study.state,
        )


def _unseen(match: StudyMatch) -> Difference:
    return Difference(
        study_instance_uid=match.study_instance_uid,
        study_date=match.study_date,
        modalities="\\".join(match.modalities),
        theirs=match.instances,
        ours=0,
    )


def _by_date(one: Difference) -> tuple[str, str]:
    return one.study_date, one.study_instance_uid
