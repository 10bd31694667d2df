"""The worklist's query against the same rules in plain words, and its filters; on SQLite and on PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from radiolucent.findings.urgency import default_urgency, effective_level
from radiolucent.store.facts_tables import EngineFactRow, ReadingFactsRow
from radiolucent.store.instances import Instances
from radiolucent.store.revisions import NewReading, Readings, Revisions
from radiolucent.store.room import Room
from radiolucent.store.study_tables import StudyRow
from radiolucent.store.unit_of_work import Store
from radiolucent.store.worklist import Query, Worklist, ageing

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LEVELS = default_urgency().levels
QUERY = Query(now=NOW, engines=("head", "chest"), levels=LEVELS)


def read(store: Store, study: str, revision: int = 1, **levels: int | None) -> None:
    """A reading by these engines, with the level of the most urgent finding of each."""
    with store.begin() as work:
        made = Revisions(work).plan(study, [], [str(revision)], made_at=NOW, again=True)
        assert made is not None
        assert made.number == revision
        new = NewReading(
            study_instance_uid=study,
            revision=revision,
            state="read",
            folder="f",
            digest="d",
            urgency=None,
            positives="",
            engines="",
            made_at=NOW,
        )
        Readings(work).add(new)
        work.session.add(ReadingFactsRow(study_instance_uid=study, revision=revision))
        for name, level in levels.items():
            work.session.add(
                EngineFactRow(study_instance_uid=study, revision=revision, engine=f"{name}@1", name=name, level=level)
            )
        ids = [one.id for one in Instances(work).of_study(study)]
        Instances(work).finish(ids, "read", revision=revision)
        Revisions(work).finished(study, revision, "read", at=NOW)


def page(store: Store, query: Query = QUERY, **changed: Any) -> dict[str, tuple[int | None, int]]:
    """Study → (level, the level it is ordered at), in the order of the list."""
    with store.read() as work:
        lines, _ = Worklist(work).page(replace(query, **changed))
    return {one.study.study_instance_uid: (one.level, one.order) for one in lines}


def test_the_most_urgent_is_first_and_what_says_nothing_waits_among_the_routine_ones(
    store: Store, receive: Any
) -> None:
    for number, minutes in enumerate((5, 4, 3, 2, 1)):
        receive(str(number), study=f"1.{number}", at=NOW - timedelta(minutes=minutes))
    read(store, "1.0", head=None)
    read(store, "1.1", head=4)
    read(store, "1.3", head=1)
    read(store, "1.4", head=2)
    assert page(store) == {"1.3": (1, 1), "1.4": (2, 2), "1.1": (4, 4), "1.2": (None, 4), "1.0": (5, 5)}


@pytest.mark.parametrize("level", [1, 2, 3, 4, 5])
def test_who_waits_climbs_as_the_rule_says(store: Store, receive: Any, level: int) -> None:
    edges = sorted({step + off for step, _ in ageing(LEVELS, level) for off in (-1, 0, 1)} | {0, 100_000})
    for number, minutes in enumerate(edges):
        receive(f"{level}{number}", study=f"1.{number}", at=NOW - timedelta(minutes=minutes))
        read(store, f"1.{number}", head=level if level < 5 else None)
    told = page(store)
    for number, minutes in enumerate(edges):
        assert told[f"1.{number}"] == (level, effective_level(level, minutes, default_urgency()))


def test_an_engine_that_may_not_be_seen_moves_nothing(store: Store, receive: Any) -> None:
    receive("1", study="1.1")
    receive("2", study="1.2")
    read(store, "1.1", head=4, trial=1)
    read(store, "1.2", trial=1)
    assert page(store) == {"1.1": (4, 4), "1.2": (None, 4)}
    assert page(store, engines=("trial",)) == {"1.1": (1, 1), "1.2": (1, 1)}
    assert page(store, engines=()) == {"1.1": (None, 4), "1.2": (None, 4)}


def test_an_engine_that_broke_off_is_no_finding_above_threshold(store: Store, receive: Any) -> None:
    receive("1", study="1.1")
    read(store, "1.1")
    with store.begin() as work:
        row = EngineFactRow(study_instance_uid="1.1", revision=1, engine="head@1", name="head", failed=True)
        work.session.add(row)
    assert page(store) == {"1.1": (None, 4)}


def test_a_level_set_by_hand_wins_and_the_last_one_counts(store: Store, receive: Any) -> None:
    receive("1", study="1.1")
    read(store, "1.1", head=1)
    with store.begin() as work:
        for level in (2, 3):
            Room(work).set_urgency("1.1", level, "seen", "ann", now=NOW)
    assert page(store) == {"1.1": (3, 3)}


def test_while_a_newer_revision_is_read_the_earlier_reading_counts_and_a_withdrawn_one_never(
    store: Store, receive: Any
) -> None:
    receive("1", study="1.1")
    read(store, "1.1", head=1)
    with store.begin() as work:
        Revisions(work).plan("1.1", [], ["later"], made_at=NOW, again=True)
    assert page(store) == {"1.1": (1, 1)}
    read(store, "1.1", revision=3, head=2)
    assert page(store) == {"1.1": (2, 2)}
    with store.begin() as work:
        Readings(work).withdraw("1.1", reason="wrong patient", at=NOW)
    assert page(store) == {"1.1": (1, 1)}


def test_pages_together_are_the_whole_list_and_each_knows_its_length(store: Store, receive: Any) -> None:
    for number in range(7):
        receive(str(number), study=f"1.{number}", at=NOW - timedelta(minutes=number))
    seen: list[str] = []
    for offset in (0, 3, 6):
        with store.read() as work:
            lines, total = Worklist(work).page(replace(QUERY, limit=3, offset=offset))
        assert total == 7
        seen += [one.study.study_instance_uid for one in lines]
    assert seen == [f"1.{number}" for number in (6, 5, 4, 3, 2, 1, 0)]


@pytest.mark.parametrize(
    ("changed", "studies"),
    [
        ({"search": "p7"}, ["1.1"]),
        ({"search": "doe"}, []),
        ({"search": "100%"}, ["1.2"]),
        ({"modality": "MR"}, ["1.2"]),
        ({"level": 1}, ["1.1"]),
        ({"state": "done"}, ["1.1"]),
        ({"state": "waiting"}, ["1.2"]),
        ({"state": "failed"}, []),
        ({"reader": "ann"}, ["1.2"]),
        ({"show": "finished"}, []),
    ],
)
def test_filters_narrow_the_list(store: Store, receive: Any, changed: dict[str, Any], studies: list[str]) -> None:
    receive("1", study="1.1", patient_id="P7", patient_name="Doe^J")
    receive("2", study="1.2", modality="MR", study_description="100% oxygen")
    read(store, "1.1", head=1)
    with store.begin() as work:
        Room(work).claim("1.2", "ann", now=NOW)
    assert list(page(store, **changed)) == studies


def test_a_finished_study_leaves_the_list_until_something_new_of_it_comes(store: Store, receive: Any) -> None:
    receive("1", study="1.1")
    with store.begin() as work:
        Room(work).claim("1.1", "ann", now=NOW)
        Worklist(work).finish("1.1", "ann", now=NOW + timedelta(minutes=1))
        assert Room(work).claims() == {}
    assert page(store) == {}
    assert list(page(store, show="finished")) == list(page(store, show="all")) == ["1.1"]
    receive("2", study="1.1", at=NOW + timedelta(minutes=2))
    assert list(page(store)) == ["1.1"]
    with store.begin() as work:
        assert Worklist(work).reopen("1.1")
        assert not Worklist(work).reopen("1.1")


def test_a_prior_that_was_fetched_waits_for_nobody(store: Store, receive: Any) -> None:
    receive("1", study="1.1")
    receive("2", study="1.2")
    read(store, "1.2", head=1)
    with store.begin() as work:
        work.session.get_one(StudyRow, "1.2").source_kind = "prior"
    assert list(page(store)) == ["1.1"]
    assert list(page(store, show="all")) == ["1.2", "1.1"]
    with store.read() as work:
        assert Worklist(work).arrived_since(NOW - timedelta(minutes=1)) == 1


def test_what_came_since_is_counted(store: Store, receive: Any) -> None:
    with store.read() as work:
        assert Worklist(work).newest() is None
    receive("1", study="1.1", modality="CT")
    receive("2", study="1.2", modality="MR", at=NOW + timedelta(minutes=1))
    with store.read() as work:
        assert Worklist(work).arrived_since(NOW) == 1
        assert Worklist(work).newest() == NOW + timedelta(minutes=1)
        assert Worklist(work).modalities() == ["CT", "MR"]
