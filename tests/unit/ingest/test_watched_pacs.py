from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import pytest

from radiolucent.errors import QueryFailed
from radiolucent.ingest.pacs import SeriesMatch, StudyMatch
from radiolucent.ingest.receiving import Way
from radiolucent.ingest.watched_pacs import Criteria, PacsWatcher
from tests.unit.ingest.receivers import FolderReceiver
from tests.unit.ingest.test_priors import MemoryPacs

CT = StudyMatch(study_instance_uid="1.1", study_date="20260301", modalities=("CT",), instances=2)


@dataclass
class MemoryLedger:
    """What is here, in memory; what was made here is in series that end on 9."""

    held_by_study: dict[str, int] = field(default_factory=dict)
    begun: list[tuple[str, int | None]] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    waits: bool = False

    def held(self, study_instance_uid: str) -> int:
        return self.held_by_study.get(study_instance_uid, 0)

    def lacks(self, study_instance_uid: str, series: tuple[SeriesMatch, ...]) -> bool:
        there = sum(one.instances or 0 for one in series if not one.series_instance_uid.endswith("9"))
        return there > self.held(study_instance_uid)

    def may_fetch(self, match: StudyMatch) -> bool:
        return not self.waits

    def begin(self, match: StudyMatch) -> None:
        self.begun.append((match.study_instance_uid, match.instances))

    def ended(self, match: StudyMatch, reason: str = "") -> None:
        self.ends.append(reason)


def _watcher(tmp_path: Path, pacs: MemoryPacs, ledger: MemoryLedger | None = None, **criteria: object) -> PacsWatcher:
    return PacsWatcher(
        pacs=pacs,
        criteria=Criteria(modalities=("CT", "MR"), **criteria),  # type: ignore[arg-type]
        receiver=FolderReceiver(tmp_path),
        ledger=ledger or MemoryLedger(),
        today=lambda: date(2026, 3, 1),
    )


def test_a_study_is_fetched_once_it_has_stopped_growing_and_never_twice(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    pacs = MemoryPacs(studies=[CT])
    watcher = _watcher(tmp_path, pacs, ledger)
    assert watcher.sweep().growing == 1
    pacs.studies = [replace(CT, instances=5)]
    assert watcher.sweep().growing == 1
    assert [one.study_instance_uid for one in watcher.sweep().fetched] == ["1.1"]
    assert (pacs.fetched, ledger.begun, ledger.ends) == ([("1.1", Way.WATCHED_PACS)], [("1.1", 5)], [""])
    ledger.held_by_study["1.1"] = 5
    assert watcher.sweep().fetched == ()
    pacs.studies = [replace(CT, instances=6)]
    assert watcher.sweep().growing == 1
    assert len(watcher.sweep().fetched) == 1


def test_what_was_made_here_is_not_fetched_back(tmp_path: Path) -> None:
    images = SeriesMatch(series_instance_uid="1.1.1", instances=2)
    ours = SeriesMatch(series_instance_uid="1.1.9", instances=6)
    pacs = MemoryPacs(studies=[replace(CT, instances=8)], series={"1.1": (images, ours)})
    watcher = _watcher(tmp_path, pacs, MemoryLedger(held_by_study={"1.1": 2}))
    assert [watcher.sweep().growing, watcher.sweep().growing, len(pacs.fetched)] == [0, 0, 0]
    pacs.series = {"1.1": (replace(images, instances=3), ours)}
    assert [watcher.sweep().growing, len(watcher.sweep().fetched)] == [0, 1]


def test_what_failed_a_moment_ago_waits(tmp_path: Path) -> None:
    pacs, ledger = MemoryPacs(studies=[CT]), MemoryLedger(waits=True)
    watcher = _watcher(tmp_path, pacs, ledger)
    watcher.sweep()
    assert (watcher.sweep().fetched, pacs.fetched) == ((), [])


def test_a_study_whose_size_the_pacs_does_not_say_is_fetched_once(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    watcher = _watcher(tmp_path, MemoryPacs(studies=[replace(CT, instances=None)]), ledger)
    watcher.sweep()
    assert len(watcher.sweep().fetched) == 1
    ledger.held_by_study["1.1"] = 1
    assert watcher.sweep().fetched == ()


@pytest.mark.parametrize(
    ("changes", "found"),
    [({}, 1), ({"study_date": "20260228"}, 1), ({"study_date": "20260227"}, 0), ({"modalities": ("US",)}, 0)],
)
def test_only_what_meets_the_criteria_is_found(tmp_path: Path, changes: dict[str, object], found: int) -> None:
    pacs = MemoryPacs(studies=[replace(CT, **changes)])  # type: ignore[arg-type]
    assert _watcher(tmp_path, pacs).sweep().found == found


@pytest.mark.parametrize(("body_part", "found"), [("BRAIN", 1), ("KNEE", 0), ("", 0)])
def test_body_parts_are_asked_of_the_series(tmp_path: Path, body_part: str, found: int) -> None:
    pacs = MemoryPacs(studies=[CT], series={"1.1": (SeriesMatch(series_instance_uid="1.1.1", body_part=body_part),)})
    assert _watcher(tmp_path, pacs, body_parts=("HEAD",)).sweep().found == found


class Refusing(MemoryPacs):
    def fetch(self, *_: object, **__: object) -> None:  # type: ignore[override]
        raise QueryFailed("memory refuses")


def test_a_study_that_can_not_be_fetched_is_tried_again_and_the_reason_kept(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    watcher = _watcher(tmp_path, Refusing(studies=[CT]), ledger)
    watcher.sweep()
    assert len(watcher.sweep().failed) == 1
    assert len(watcher.sweep().failed) == 1
    assert ledger.ends == ["memory refuses"] * 2


class Broken(MemoryPacs):
    def fetch(self, *_: object, **__: object) -> None:  # type: ignore[override]
        raise ZeroDivisionError("patient 7")


def test_whatever_ends_a_fetch_ends_it_in_the_ledger_too(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    watcher = _watcher(tmp_path, Broken(studies=[CT]), ledger)
    watcher.sweep()
    with pytest.raises(ZeroDivisionError):
        watcher.sweep()
    assert ledger.ends == ["ZeroDivisionError: see the log"]


def test_a_pacs_that_is_away_is_told(tmp_path: Path) -> None:
    with pytest.raises(QueryFailed):
        _watcher(tmp_path, MemoryPacs(studies=[CT], away=True)).sweep()


@pytest.mark.parametrize("wrong", [{"modalities": ()}, {"modalities": ("CT",), "body_parts": ("FOO",)}])
def test_criteria_that_can_not_be_met_are_refused(wrong: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(ValueError, match=r"modality|known"):
        Criteria(**wrong)  # type: ignore[arg-type]
