"""One transaction: all of it is kept or nothing of it, whatever the database."""

import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, StatementError

from radiolucent.errors import SetupError
from radiolucent.store.study_tables import AssociationRow, SeriesRow, WorkerRow
from radiolucent.store.unit_of_work import Store, open_store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def association(number: int, at: datetime = NOW) -> AssociationRow:
    return AssociationRow(association_id=str(number), opened_at=at)


def ids(store: Store) -> list[str]:
    with store.read() as work:
        return sorted(work.session.scalars(select(AssociationRow.association_id)))


def test_what_a_transaction_wrote_is_there_after_it(store: Store) -> None:
    with store.begin() as work:
        work.session.add(association(1))
    assert ids(store) == ["1"]


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises(IntegrityError), store.begin() as work:
        work.session.add_all([association(1), SeriesRow(series_instance_uid="1.2", study_instance_uid="1.2.3")])
    assert ids(store) == []


def test_a_reading_transaction_changes_nothing(store: Store) -> None:
    with store.read() as work:
        work.session.add(association(1))
        work.session.flush()
    assert ids(store) == []


def test_what_was_kept_is_there_for_the_next_process(tmp_path: Path) -> None:
    first = open_store("", tmp_path)
    with first.begin() as work:
        work.session.add(association(1))
    first.close()
    assert ids(open_store("", tmp_path)) == ["1"]


def test_readers_wait_for_nobody(store: Store) -> None:
    with store.begin() as work:
        work.session.add(association(1))
        work.session.flush()
        assert ids(store) == []


def test_a_reader_sees_one_moment_whatever_is_written_meanwhile(store: Store) -> None:
    with store.read() as work:
        assert list(work.session.scalars(select(AssociationRow.association_id))) == []
        with store.begin() as other:
            other.session.add(association(1))
        assert list(work.session.scalars(select(AssociationRow.association_id))) == []
    assert ids(store) == ["1"]


def test_what_a_writer_has_read_stays_true_until_it_has_written(store: Store) -> None:
    begun, written = threading.Event(), threading.Event()

    def second() -> None:
        begun.set()
        with store.begin() as work:
            work.session.add(association(2))
            work.session.flush()
            written.set()

    with store.begin() as work:
        thread = threading.Thread(target=second)
        thread.start()
        assert begun.wait(10)
        assert not written.wait(0.2)
        assert list(work.session.scalars(select(AssociationRow.association_id))) == []
    thread.join()
    assert ids(store) == ["2"]


def test_a_commit_on_sqlite_is_on_disk(tmp_path: Path) -> None:
    store = open_store("", tmp_path)
    with store.begin() as work:
        pragma = {
            name: work.session.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous")
        }
    assert pragma == {"journal_mode": "wal", "synchronous": 2}


def test_a_row_that_points_nowhere_is_refused(store: Store) -> None:
    with pytest.raises(IntegrityError), store.begin() as work:
        work.session.add(SeriesRow(series_instance_uid="1.2", study_instance_uid="1.2.3"))


def test_a_time_keeps_its_moment_and_comes_back_in_utc(store: Store) -> None:
    local = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=5)))
    with store.begin() as work:
        work.session.add(association(1, local))
    with store.read() as work:
        row = work.session.get_one(AssociationRow, "1")
    assert row.opened_at == local
    assert row.opened_at.utcoffset() == timedelta(0)


def test_a_time_without_a_zone_is_refused(store: Store) -> None:
    with pytest.raises(StatementError, match="time zone"), store.begin() as work:
        work.session.add(association(1, datetime(2026, 3, 1)))


def test_many_threads_write_and_nothing_is_lost(store: Store) -> None:
    with store.begin() as work:
        work.session.add(WorkerRow(executor_id="one", pid=0, started_at=NOW, heartbeat_at=NOW))

    def count() -> None:
        for _ in range(10):
            with store.begin() as work:
                work.session.get_one(WorkerRow, "one").pid += 1

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as work:
        assert work.session.get_one(WorkerRow, "one").pid == 80


def test_a_database_is_one_gateways_alone(store: Store, tmp_path: Path) -> None:
    if store.url.startswith("sqlite"):
        with store.alone(), store.alone():  # the lock of the data folder stands before it
            return
    other = open_store(store.url.replace("***", ""), tmp_path)
    with store.alone():
        with pytest.raises(SetupError, match="another gateway"), other.alone():
            raise AssertionError("two gateways")
        with other.begin() as work:  # its workers write nevertheless
            work.session.add(association(1))
    with other.alone():
        assert ids(store) == ["1"]
    other.close()


@pytest.mark.parametrize("url", ["no address", "mysql://somewhere/x", "oracle://somewhere/x", "nothing://x"])
def test_an_address_that_is_none_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(SetupError, match="database"):
        open_store(url, tmp_path)


def test_a_database_that_can_not_be_opened_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="can't be opened") as caught:
        open_store("postgresql://me:hidden@127.0.0.1:1/none", tmp_path)
    assert "hidden" not in str(caught.value)
