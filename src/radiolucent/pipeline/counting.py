"""How many images a study has, asked of the PACS while it comes in: so that it isn't read in the middle of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from radiolucent.ingest.pacs import Pacs, SeriesMatch
from radiolucent.store.studies import Progress, Studies
from radiolucent.store.unit_of_work import Store
from radiolucent.store.ways import Fetches

NO_IMAGES: Final = frozenset({"SR", "PR", "KO", "SEG", "RTSTRUCT", "RTPLAN", "RTDOSE", "REG", "DOC", "AU", "ECG", "OT"})
"""Modalities of series that hold no images to be read; such a series isn't waited for."""
AGAIN: Final = timedelta(seconds=2)
"""A number that the PACS gives twice, so far apart, isn't growing any more."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Counting:
    """Asks the PACS that get the same studies.

    Only studies that weren't read yet are asked for: later the PACS holds what this gateway made of them.
    """

    store: Store
    pacs: Sequence[Pacs]
    clock: Callable[[], datetime] = _now
    _said: dict[str, tuple[int, datetime]] = field(default_factory=dict)

    def turn(self) -> int | None:
        """Ask for every study that is coming in and that no association brings more of just now; None without one.

        Raises
        ------
        QueryFailed
            If a PACS doesn't answer.
        """
        with self.store.read() as work:
            arriving = [one for one in Studies(work).arriving() if self._is_asked(one)]
            arriving = [one for one in arriving if not Fetches(work).of_study(one.study.study_instance_uid)]
        for uid in self._said.keys() - {one.study.study_instance_uid for one in arriving}:
            del self._said[uid]
        for progress in arriving:
            self._ask(progress)
        return 0 if arriving else None

    def _is_asked(self, progress: Progress) -> bool:
        return progress.open_associations == 0 and progress.study.latest_revision == 0

    def _ask(self, progress: Progress) -> None:
        uid, at = progress.study.study_instance_uid, self.clock()
        expected = max(
            (expected_instances(progress.instances_by_series, pacs.find_series(uid)) for pacs in self.pacs), default=0
        )
        before = self._said.get(uid)
        if expected == 0 or before is None or before[0] != expected:
            self._said[uid] = (expected, at)
        elif at - before[1] >= AGAIN and progress.study.expected_instances != expected:
            with self.store.begin() as work:
                Studies(work).expect(uid, expected)


def expected_instances(held: dict[str, int], series: Sequence[SeriesMatch]) -> int:
    """How many instances a study will have: what is here, and what the PACS has more of.

    Returns
    -------
    0 where the PACS knows nothing of the study.

    >>> ct = SeriesMatch(series_instance_uid="1.1", modality="CT", instances=40)
    >>> report = SeriesMatch(series_instance_uid="1.2", modality="SR", instances=1)
    >>> expected_instances({"1.1": 30}, [ct, report]), expected_instances({"1.1": 50}, [ct]), expected_instances({}, [])
    (40, 50, 0)
    """
    if not series:
        return 0
    missing = 0
    for one in series:
        here = held.get(one.series_instance_uid, 0)
        if here or one.modality not in NO_IMAGES:
            missing += max(0, (one.instances or 0) - here)
    return sum(held.values()) + missing
