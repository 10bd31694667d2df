"""A PACS that can't route: it is asked every so often for studies of some kind, and what is new is fetched.

A study is fetched when the PACS says twice in a row that it has so many images, and that is more than are here. What
this gateway made itself and the PACS now holds isn't fetched back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final, Protocol

from radiolucent.errors import QueryFailed
from radiolucent.imaging.kinds import body_part_name
from radiolucent.ingest.pacs import Pacs, SeriesMatch, StudyMatch, StudyQuery
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


class Ledger(Protocol):
    """What is here, and what was fetched before."""

    def held(self, study_instance_uid: str) -> int:
        """How many instances of a study came in; 0 for an unknown one."""

    def lacks(self, study_instance_uid: str, series: tuple[SeriesMatch, ...]) -> bool:
        """Whether one of these series of the PACS has images that are neither here nor made here."""

    def may_fetch(self, match: StudyMatch) -> bool:
        """False where exactly this was fetched already, or failed so lately that it must wait."""

    def begin(self, match: StudyMatch) -> None:
        """Note that it is about to be fetched."""

    def ended(self, match: StudyMatch, reason: str = "") -> None:
        """Note that it was fetched, or why not."""


@dataclass(eq=False, kw_only=True)
class PacsWatcher:
    """Looks at one PACS again and again.

    Parameters
    ----------
    today : gives the present date.
    """

    pacs: Pacs
    criteria: Criteria
    receiver: Receiver
    ledger: Ledger
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
            if not self.ledger.may_fetch(match):
                continue
            (fetched if self._fetch(match) else failed).append(match)
        self._seen = {uid: match.instances for uid, match in found.items()}
        return Sweep(found=len(found), growing=growing, fetched=tuple(fetched), failed=tuple(failed))

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
        held = self.ledger.held(match.study_instance_uid)
        if held == 0 or match.instances is None:
            return held > 0
        if held >= match.instances:
            return True
        series = self.pacs.find_series(match.study_instance_uid)
        return bool(series) and not self.ledger.lacks(match.study_instance_uid, series)

    def _fetch(self, match: StudyMatch) -> bool:
        self.ledger.begin(match)
        try:
            fetched = self.pacs.fetch(match.study_instance_uid, self.receiver, way=Way.WATCHED_PACS)
        except QueryFailed as error:
            LOG.warning("study %s: %s", match.study_instance_uid, error)
            self.ledger.ended(match, str(error))
            return False
        except Exception as error:
            self.ledger.ended(match, f"{type(error).__name__}: see the log")
            raise
        self.ledger.ended(match, f"{fetched.failed} images could not be fetched" if fetched.failed else "")
        return fetched.failed == 0
