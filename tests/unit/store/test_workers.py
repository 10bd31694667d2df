"""Who is alive, who was silent too long, and whose name it is."""

from datetime import UTC, datetime, timedelta

from radiolucent.store.unit_of_work import Store
from radiolucent.store.workers import Workers

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_silent_worker_is_found_and_a_heard_one_is_not(store: Store) -> None:
    with store.begin() as work:
        workers = Workers(work)
        for name in ("a", "b", "c"):
            workers.alive(name, host="h", pid=1, role="worker", version="1", at=NOW)
        workers.heartbeat("a", pid=1, at=NOW + timedelta(seconds=20))
        workers.stopped("c")
        assert [one.executor_id for one in workers.silent(since=NOW + timedelta(seconds=10))] == ["b"]
        workers.dead("b")
        assert workers.silent(since=NOW + timedelta(seconds=10)) == ()
        assert [one.state for one in workers.list()] == ["alive", "dead", "stopped"]


def test_a_worker_whose_name_another_process_has_must_stop(store: Store) -> None:
    with store.begin() as work:
        workers = Workers(work)
        workers.alive("a", host="h", pid=1, role="worker", version="1", at=NOW)
        workers.alive("a", host="h", pid=2, role="worker", version="1", at=NOW)
        assert not workers.heartbeat("a", pid=1, at=NOW)
        assert workers.heartbeat("a", pid=2, at=NOW)
        assert not workers.heartbeat("never", pid=2, at=NOW)
