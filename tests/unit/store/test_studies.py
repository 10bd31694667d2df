"""The list of studies, narrowed; everything of one study; and what completeness depends on."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from radiolucent.errors import NoSuchStudy
from radiolucent.store.deliveries import Deliveries
from radiolucent.store.instances import Associations, Instances
from radiolucent.store.revisions import NewReading, Readings, Revisions
from radiolucent.store.studies import Filters, Studies
from radiolucent.store.unit_of_work import Store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def three(store: Store, receive: Any) -> Store:
    receive("1", study="1.1", modality="CT", patient_id="P1", study_date="20260101", at=NOW)
    receive("2", study="1.2", modality="MR", patient_id="P2", study_date="20260201", at=NOW + timedelta(minutes=1))
    receive("3", study="1.3", modality="CR", patient_name="Doe^J", study_date="20260301", at=NOW + timedelta(minutes=2))
    with store.begin() as work:
        revision = Revisions(work).plan("1.2", Instances(work).of_study("1.2"), ["e"], made_at=NOW)
        assert revision is not None
        Readings(work).add(
            NewReading(
                study_instance_uid="1.2",
                revision=1,
                state="read",
                folder="f",
                digest="d",
                urgency=2,
                positives="glioma",
                engines="e",
                made_at=NOW,
            )
        )
        Instances(work).finish([2], "read", revision=1)
        Revisions(work).finished("1.2", 1, "read", at=NOW)
        Deliveries(work).owe("1.2", 1, ["pacs"], at=NOW)
    return store


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(), ["1.3", "1.2", "1.1"]),
        (Filters(limit=1, offset=1), ["1.2"]),
        (Filters(modality="CT"), ["1.1"]),
        (Filters(text="p2"), ["1.2"]),
        (Filters(text="doe"), ["1.3"]),
        (Filters(text="%"), []),
        (Filters(date_from="20260115", date_to="20260215"), ["1.2"]),
        (Filters(received_since=NOW + timedelta(minutes=2)), ["1.3"]),
        (Filters(states=("arriving",)), ["1.3"]),
        (Filters(urgency=2), ["1.2"]),
        (Filters(urgency=1), []),
        (Filters(undelivered=True), ["1.2"]),
    ],
    ids=str,
)
def test_a_list_is_narrowed_by_each_filter(three: Store, filters: Filters, expected: list[str]) -> None:
    with three.begin() as work:
        Studies(work).set_state("1.1", "kept")
    with three.read() as work:
        lines = Studies(work).list(filters)
    assert [line.study.study_instance_uid for line in lines] == expected


def test_a_line_counts_images_and_what_is_owed(three: Store) -> None:
    with three.read() as work:
        line = Studies(work).list(Filters(modality="MR"))[0]
    assert (line.instances, line.undelivered, line.reading.urgency if line.reading else None) == (1, 1, 2)


def test_everything_of_a_study_is_shown(three: Store) -> None:
    with three.read() as work:
        view = Studies(work).show("1.2")
    sizes = (view.series, view.instances, view.revisions, view.readings, view.deliveries)
    assert [len(part) for part in sizes] == [1, 1, 1, 1, 1]


def test_an_unknown_study_is_told(three: Store) -> None:
    with three.read() as work:
        assert Studies(work).find("9.9") is None
        with pytest.raises(NoSuchStudy, match=r"9\.9"):
            Studies(work).get("9.9")
        with pytest.raises(NoSuchStudy):
            Studies(work).show("9.9")


def test_there_is_no_state_but_those_in_the_table(three: Store) -> None:
    with three.begin() as work, pytest.raises(ValueError, match="no state"):
        Studies(work).set_state("1.1", "fine")


def test_progress_says_who_still_sends_and_what_is_there(store: Store, receive: Any) -> None:
    receive("1", association="a1", series="1.2.1")
    receive("2", association="a2", series="1.2.2")
    receive("2", association="a2", series="1.2.2", digest="f" * 64, conflict=True)
    with store.begin() as work:
        Associations(work).ended("a1", aborted=False, at=NOW + timedelta(seconds=5))
        Studies(work).expect("1.2", 7)
    with store.read() as work:
        (progress,) = Studies(work).arriving()
    assert progress.instances_by_series == {"1.2.1": 1, "1.2.2": 1}
    assert (progress.open_associations, progress.study.expected_instances) == (1, 7)
    assert progress.association_closed_at == NOW + timedelta(seconds=5)


def test_states_are_counted(three: Store) -> None:
    with three.read() as work:
        assert Studies(work).counts() == {"arriving": 2, "read": 1}
