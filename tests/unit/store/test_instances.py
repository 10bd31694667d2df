"""What is kept of one UID, what opens a study again, and what an aborted association means."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from radiolucent.store.instances import Associations, Instances, StudyHeader
from radiolucent.store.records import TurnedAwayRecord
from radiolucent.store.studies import Studies
from radiolucent.store.unit_of_work import Store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_of_one_uid_only_one_object_is_used(store: Store, receive: Any) -> None:
    receive("1", digest="a" * 64)
    receive("1", digest="b" * 64, conflict=True)
    with store.read() as work:
        used = Instances(work).used("1")
        kept = Instances(work).of_study("1.2")
    assert used is not None
    assert used.digest == "a" * 64
    assert [one.state for one in kept] == ["received", "conflict"]
    assert "other content" in kept[1].reason


def test_the_database_itself_refuses_a_second_used_object(receive: Any) -> None:
    receive("1", digest="a" * 64)
    with pytest.raises(IntegrityError):
        receive("1", digest="b" * 64)


def test_the_same_conflict_again_is_kept_once(store: Store, receive: Any) -> None:
    receive("1", digest="a" * 64)
    first = receive("1", digest="b" * 64, conflict=True)
    assert receive("1", digest="b" * 64, conflict=True).id == first.id


def test_a_study_gathers_the_modalities_of_its_series(store: Store, receive: Any) -> None:
    receive("1", series="1.2.1", modality="CT", body_part="HEAD", patient_id="P1")
    receive("2", series="1.2.2", modality="SR", body_part="HEAD", patient_id="other")
    with store.read() as work:
        study = Studies(work).get("1.2")
    assert (study.modalities, study.body_parts, study.patient_id) == ("CT\\SR", "HEAD", "P1")


def test_a_header_longer_than_its_column_is_cut(store: Store, receive: Any) -> None:
    receive("1", patient_id="x" * 4000, series_description="y" * 4000)
    with store.read() as work:
        assert Studies(work).get("1.2").patient_id == "x" * 255


def test_a_late_instance_opens_a_finished_study_again(store: Store, receive: Any) -> None:
    receive("1")
    with store.begin() as work:
        Studies(work).set_state("1.2", "read")
    receive("2", at=NOW + timedelta(hours=1))
    with store.read() as work:
        study = Studies(work).get("1.2")
    assert (study.state, study.last_received_at) == ("arriving", NOW + timedelta(hours=1))


def test_a_late_instance_leaves_a_study_that_is_being_read_with_its_reader(store: Store, receive: Any) -> None:
    receive("1")
    with store.begin() as work:
        Studies(work).set_state("1.2", "reading")
    receive("2")
    with store.read() as work:
        assert Studies(work).get("1.2").state == "reading"


def test_an_aborted_association_marks_its_studies_partial_until_one_ends_well(store: Store, receive: Any) -> None:
    receive("1", association="a1")
    with store.begin() as work:
        assert Associations(work).ended("a1", aborted=True, at=NOW) == ["1.2"]
        assert Studies(work).get("1.2").partial
    receive("2", association="a2")
    with store.begin() as work:
        Associations(work).ended("a2", aborted=False, at=NOW)
        assert not Studies(work).get("1.2").partial
        assert Associations(work).ended("never seen", aborted=False, at=NOW) == []


def test_at_start_what_was_open_is_over(store: Store, receive: Any) -> None:
    receive("1", association="a1")
    with store.begin() as work:
        assert Associations(work).end_all(at=NOW) == 1
        assert Associations(work).end_all(at=NOW) == 0
        assert Studies(work).get("1.2").partial


def test_old_associations_are_forgotten_and_open_ones_are_not(store: Store, receive: Any) -> None:
    receive("1", association="a1")
    receive("2", association="a2")
    with store.begin() as work:
        Associations(work).ended("a1", aborted=False, at=NOW)
        Associations(work).forget(before=NOW + timedelta(days=1))
        assert Associations(work).end_all(at=NOW) == 1


def test_only_an_end_of_the_road_finishes_an_instance(store: Store, receive: Any) -> None:
    one = receive("1")
    with store.begin() as work:
        Instances(work).finish([one.id], "refused", reason="a localiser", revision=1)
        assert Instances(work).counts() == {"refused": 1}
        with pytest.raises(ValueError, match="terminal"):
            Instances(work).finish([one.id], "received", revision=1)


def test_what_was_turned_away_can_be_looked_up(store: Store) -> None:
    away = TurnedAwayRecord(
        at=NOW, outcome="out-of-space", reason="full", sop_instance_uid="1", study_instance_uid="1.2",
        calling_ae="CT1", source_kind="c-store",
    )  # fmt: skip
    with store.begin() as work:
        Instances(work).turn_away(away)
    with store.read() as work:
        assert Instances(work).turned_away() == [away]


def test_removed_files_no_longer_count(store: Store, receive: Any) -> None:
    one = receive("1")
    with store.begin() as work:
        assert (Instances(work).bytes_kept(), Instances(work).paths()) == (100, {one.path})
        Instances(work).removed([one.id], at=NOW)
    with store.read() as work:
        assert (Instances(work).bytes_kept(), Instances(work).paths()) == (0, set())


def test_no_identity_shows_in_the_text_of_a_value(store: Store, receive: Any) -> None:
    receive("1", patient_id="HIDDEN-ID", patient_name="HIDDEN^NAME")
    with store.read() as work:
        assert "HIDDEN" not in repr(Studies(work).get("1.2"))
    assert "HIDDEN" not in repr(StudyHeader(patient_id="HIDDEN-ID", patient_name="HIDDEN^NAME"))
