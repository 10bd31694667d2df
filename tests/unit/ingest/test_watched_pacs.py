from __future__ import annotations

import threading
from dataclasses import replace
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


def _watcher(tmp_path: Path, pacs: MemoryPacs, held: dict[str, int], **criteria: object) -> PacsWatcher:
    return PacsWatcher(
        pacs=pacs,
        criteria=Criteria(modalities=("CT", "MR"), **criteria),  # type: ignore[arg-type]
        receiver=FolderReceiver(tmp_path),
        held=lambda uid: held.get(uid, 0),
        expect=lambda uid, count: expected.append((uid, count)),
        today=lambda: date(2026, 3, 1),
    )


expected: list[tuple[str, int]] = []


def test_a_study_is_fetched_once_it_has_stopped_growing_and_never_twice(tmp_path: Path) -> None:
    expected.clear()
    held: dict[str, int] = {}
    pacs = MemoryPacs(studies=[CT])
    watcher = _watcher(tmp_path, pacs, held)
    assert watcher.sweep().growing == 1
    pacs.studies = [replace(CT, instances=5)]
    assert watcher.sweep().growing == 1
    assert [one.study_instance_uid for one in watcher.sweep().fetched] == ["1.1"]
    assert (pacs.fetched, expected) == ([("1.1", Way.WATCHED_PACS)], [("1.1", 5)])
    held["1.1"] = 5
    assert watcher.sweep().fetched == ()
    pacs.studies = [replace(CT, instances=6)]
    assert watcher.sweep().growing == 1
    assert len(watcher.sweep().fetched) == 1


def test_a_study_whose_size_the_pacs_does_not_say_is_fetched_once(tmp_path: Path) -> None:
    held: dict[str, int] = {}
    pacs = MemoryPacs(studies=[replace(CT, instances=None)])
    watcher = _watcher(tmp_path, pacs, held)
    watcher.sweep()
    assert len(watcher.sweep().fetched) == 1
    held["1.1"] = 1
    assert watcher.sweep().fetched == ()


@pytest.mark.parametrize(
    ("changes", "found"),
    [({}, 1), ({"study_date": "20260228"}, 1), ({"study_date": "20260227"}, 0), ({"modalities": ("US",)}, 0)],
)
def test_only_what_meets_the_criteria_is_found(tmp_path: Path, changes: dict[str, object], found: int) -> None:
    pacs = MemoryPacs(studies=[replace(CT, **changes)])  # type: ignore[arg-type]
    assert _watcher(tmp_path, pacs, {}).sweep().found == found


@pytest.mark.parametrize(("body_part", "found"), [("BRAIN", 1), ("KNEE", 0), ("", 0)])
def test_body_parts_are_asked_of_the_series(tmp_path: Path, body_part: str, found: int) -> None:
    pacs = MemoryPacs(studies=[CT], series={"1.1": (SeriesMatch(series_instance_uid="1.1.1", body_part=body_part),)})
    assert _watcher(tmp_path, pacs, {}, body_parts=("HEAD",)).sweep().found == found


class Refusing(MemoryPacs):
    def fetch(self, *_: object, **__: object) -> None:  # type: ignore[override]
        raise QueryFailed("memory refuses")


def test_a_study_that_can_not_be_fetched_is_tried_again(tmp_path: Path) -> None:
    watcher = _watcher(tmp_path, Refusing(studies=[CT]), {})
    watcher.sweep()
    assert len(watcher.sweep().failed) == 1
    assert len(watcher.sweep().failed) == 1


def test_a_pacs_that_is_away_is_asked_again(tmp_path: Path) -> None:
    pacs = MemoryPacs(studies=[CT], away=True)
    watcher = _watcher(tmp_path, pacs, {})
    with pytest.raises(QueryFailed):
        watcher.sweep()
    stop = threading.Event()
    thread = threading.Thread(target=watcher.run, args=(stop,), kwargs={"every_s": 0.01})
    thread.start()
    pacs.away = False
    while not pacs.fetched:
        assert thread.is_alive()
    stop.set()
    thread.join(5)
    assert not thread.is_alive()


@pytest.mark.parametrize("wrong", [{"modalities": ()}, {"modalities": ("CT",), "body_parts": ("FOO",)}])
def test_criteria_that_can_not_be_met_are_refused(wrong: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(ValueError, match=r"modality|known"):
        Criteria(**wrong)  # type: ignore[arg-type]
