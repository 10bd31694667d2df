"""A PACS that can't route: it is asked every so often for studies of some kind, and what is new is fetched.

A study is fetched when the PACS says twice in a row that it has so many images, and that is more than are here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from radiolucent.errors import QueryFailed
from radiolucent.imaging.kinds import body_part_name
from radiolucent.ingest.pacs import Pacs, StudyMatch, StudyQuery
from radiolucent.ingest.receiving import Receiver, Way

LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Criteria:
    """Which studies are wanted.

    Parameters
    ----------
    modalities : each is asked for; at least one.
    body_parts : Body Part Examined of one of the series; empty takes all. A series that says none isn't taken then.
    days : from so many days ago until today.

    Raises
    ------
    ValueError
        If no modality is named, or a body part isn't known.
    """

    modalities: tuple[str, ...]
    body_parts: tuple[str, ...] = ()
    days: int = 1

    def __post_init__(self) -> None:
        if not self.modalities:
            raise ValueError("a watched PACS needs at least one modality")
        for part in self.body_parts:
            if not body_part_name(part):
                raise ValueError(f"the body part {part!r} isn't known")


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What one look at the PACS brought: studies that match, that are still growing, that were fetched, that failed."""

    found: int = 0
    growing: int = 0
    fetched: tuple[StudyMatch, ...] = ()
    failed: tuple[StudyMatch, ...] = ()


@dataclass(eq=False, kw_only=True)
class PacsWatcher:
    """Looks at one PACS again and again.

    Parameters
    ----------
    held : how many instances of a study, by its UID, are here; 0 for an unknown one.
    expect : told how many instances of a study the PACS has, before it is fetched.
    today : gives the present date.
    """

    pacs: Pacs
    criteria: Criteria
    receiver: Receiver
    held: Callable[[str], int]
    expect: Callable[[str, int], None] = lambda _study, _instances: None
    today: Callable[[], date] = date.today
    _seen: dict[str, int | None] = field(default_factory=dict, init=False)

    def sweep(self) -> Sweep:
        """Look once.

        Raises
        ------
        QueryFailed
            If the PACS doesn't answer the query for studies. A study that can't be fetched is in `Sweep.failed`, and
            tried again the next time.
        """
        found = self._find()
        growing = 0
        fetched: list[StudyMatch] = []
        failed: list[StudyMatch] = []
        for uid, match in found.items():
            if self._has_all(match):
                continue
            if uid not in self._seen or self._seen[uid] != match.instances:
                growing += 1
                continue
            (fetched if self._fetch(match) else failed).append(match)
        self._seen = {uid: match.instances for uid, match in found.items()}
        return Sweep(found=len(found), growing=growing, fetched=tuple(fetched), failed=tuple(failed))

    def run(self, stop: threading.Event, *, every_s: float) -> None:
        """Look every so often until `stop` is set. A PACS that is away is asked again the next time."""
        while not stop.is_set():
            try:
                swept = self.sweep()
            except QueryFailed as error:
                LOG.warning("%s", error)
            else:
                if swept.fetched or swept.failed:
                    LOG.info("%s: %d fetched, %d failed", self.pacs.name, len(swept.fetched), len(swept.failed))
            stop.wait(every_s)

    def _find(self) -> dict[str, StudyMatch]:
        until = self.today()
        since = until - timedelta(days=self.criteria.days)
        found: dict[str, StudyMatch] = {}
        for modality in self.criteria.modalities:
            query = StudyQuery(modality=modality, date_from=f"{since:%Y%m%d}", date_to=f"{until:%Y%m%d}")
            for match in self.pacs.find_studies(query):
                found[match.study_instance_uid] = match
        return {uid: match for uid, match in found.items() if self._is_wanted(match)}

    def _is_wanted(self, match: StudyMatch) -> bool:
        if not self.criteria.body_parts:
            return True
        wanted = {body_part_name(part) for part in self.criteria.body_parts}
        series = self.pacs.find_series(match.study_instance_uid)
        return any(body_part_name(one.body_part) in wanted for one in series)

    def _has_all(self, match: StudyMatch) -> bool:
        held = self.held(match.study_instance_uid)
        return held > 0 if match.instances is None else held >= match.instances

    def _fetch(self, match: StudyMatch) -> bool:
        if match.instances is not None:
            self.expect(match.study_instance_uid, match.instances)
        try:
            fetched = self.pacs.fetch(match.study_instance_uid, self.receiver, way=Way.WATCHED_PACS)
        except QueryFailed as error:
            LOG.warning("study %s: %s", match.study_instance_uid, error)
            return False
        return fetched.failed == 0
