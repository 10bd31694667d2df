"""Alerts as rows: in the order in which they matter, acknowledged once, never deleted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from radiolucent.errors import NoSuchStudy
from radiolucent.store.alerts import Alerts, NewAlert, Notices
from radiolucent.store.unit_of_work import Store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def new(key: str, *, level: int = 1, minutes: int = 0) -> NewAlert:
    return NewAlert(
        key=key,
        study_instance_uid="1.2",
        revision=1,
        finding="pneumothorax",
        engine="chest@1.0.0",
        tier="A",
        level=level,
        language="en",
        subject="s",
        message="m",
        disclaimer="d",
        table_version="1",
        raised_at=NOW + timedelta(minutes=minutes),
    )


def test_open_ones_by_urgency_and_age_then_the_latest_of_the_others(store: Store) -> None:
    with store.begin() as work:
        alerts = Alerts(work)
        for one in (
            new("routine", level=2),
            new("later", minutes=2),
            new("sooner", minutes=1),
            new("old", minutes=-60),
            new("older", level=2, minutes=-90),
        ):
            alerts.raise_(one)
        assert alerts.acknowledge("old", by="dr-a", at=NOW)
        alerts.end("older", reason="taken back", at=NOW)
        assert [one.key for one in alerts.list()] == ["sooner", "later", "routine", "old", "older"]
        assert [one.key for one in alerts.list(limit=4)][-1:] == ["old"]
        assert [one.key for one in alerts.list(states=("ended",))] == ["older"]
        assert [one.key for one in alerts.unescalated()] == ["sooner", "later", "routine"]


def test_what_has_ended_is_neither_acknowledged_nor_escalated(store: Store) -> None:
    with store.begin() as work:
        alerts = Alerts(work)
        alerts.raise_(new("k"))
        alerts.end("k", reason="taken back", at=NOW)
        assert not alerts.acknowledge("k", by="dr-a", at=NOW)
        assert not alerts.escalate("k", at=NOW)
        assert not alerts.escalate("none", at=NOW)
        assert (alerts.get("k").acknowledged_by, alerts.get("k").escalated_at) == ("", None)


def test_there_is_no_way_to_delete_an_alert() -> None:
    assert not [name for name in dir(Alerts) if "delete" in name or "remove" in name]


def test_what_is_not_there_is_said_so(store: Store) -> None:
    with store.read() as work:
        for ask in (lambda: Alerts(work).get("k"), lambda: Alerts(work).acknowledge("k", by="a", at=NOW)):
            with pytest.raises(NoSuchStudy):
                ask()
        with pytest.raises(NoSuchStudy):
            Notices(work).get(7)


def test_a_message_is_owed_once_and_counted_by_state(store: Store) -> None:
    with store.begin() as work:
        notices = Notices(work)
        made = Alerts(work).raise_(new("k"))
        for _ in range(2):
            notices.owe(made, ["a", "b"], "first", at=NOW, granted=False)
        assert [one.channel for one in notices.held()] == ["a", "b"]
        assert notices.due(at=NOW) == ()
        first, second = notices.held()
        notices.grant(first.id, held=1, at=NOW)
        assert [one.id for one in notices.due(at=NOW)] == [first.id]
        notices.take(first.id)
        notices.give_up(first.id, reason="refused", at=NOW)
        assert notices.counts() == {"dead": 1, "waiting": 1}
        assert notices.cancel("k", reason="ended", at=NOW) == ()
        assert notices.get(second.id).state == "cancelled"
