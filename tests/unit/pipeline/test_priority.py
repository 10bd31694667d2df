"""The order of the queues: urgent work overtakes, and whatever waits long enough comes first."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.pipeline.priority import (
    BACKFILL,
    GRACE_S,
    LIVE,
    STAT,
    delivery_class,
    delivery_priority,
    queue_priority,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CLASSES = (STAT, LIVE, BACKFILL)
SOME = st.lists(st.tuples(st.sampled_from(CLASSES), st.integers(0, 200_000)), min_size=1, max_size=40)


def place(kind: str, seconds: int) -> int:
    return queue_priority(kind, NOW + timedelta(seconds=seconds))


def test_of_work_that_came_together_the_more_urgent_class_goes_first() -> None:
    assert sorted(CLASSES, key=lambda kind: place(kind, 0)) == list(CLASSES)


@given(SOME)
def test_within_a_class_the_earliest_goes_first(work: list[tuple[str, int]]) -> None:
    order = sorted(work, key=lambda one: place(*one))
    for kind in CLASSES:
        times = [seconds for of, seconds in order if of == kind]
        assert times == sorted(times)


@given(SOME, st.sampled_from(CLASSES), st.integers(0, 200_000))
def test_nothing_is_overtaken_by_what_comes_later_than_its_bound(
    work: list[tuple[str, int]], kind: str, seconds: int
) -> None:
    bound = seconds + GRACE_S[kind]
    mine = place(kind, seconds)
    assert all(mine < place(of, at) for of, at in work if at > bound)


@pytest.mark.parametrize(
    ("priority", "urgency", "expected"),
    [
        (LIVE, 1, STAT),
        (LIVE, 2, STAT),
        (LIVE, 3, LIVE),
        (LIVE, None, LIVE),
        (STAT, 5, STAT),
        (BACKFILL, 2, STAT),
        (BACKFILL, 4, BACKFILL),
    ],
)
def test_an_urgent_finding_overtakes_on_the_way_out(priority: str, urgency: int | None, expected: str) -> None:
    assert delivery_class(priority, urgency) == expected


def test_messages_go_before_objects_of_the_same_reading_and_not_before_more_urgent_ones() -> None:
    urgent_objects = delivery_priority(LIVE, 1, NOW, message=False)
    assert delivery_priority(LIVE, 1, NOW, message=True) < urgent_objects
    assert urgent_objects < delivery_priority(LIVE, 4, NOW - timedelta(hours=1), message=True)
    assert delivery_priority(LIVE, 4, NOW - timedelta(hours=3), message=False) < urgent_objects
