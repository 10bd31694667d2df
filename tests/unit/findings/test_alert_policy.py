"""Alerts: nothing is dropped, nothing goes out twice, the most critical first, one escalation, none after an answer."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.findings.alert_policy import Waiting, alert_key, plan
from radiolucent.findings.alerts import Alert, Sent, default_alerts

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TABLE = default_alerts()
MINUTE = timedelta(minutes=1)


def alert(level: int = 1, study: str = "1.2") -> Alert:
    return Alert(
        tier="A",
        level=level,
        study_instance_uid=study,
        finding="pneumothorax",
        language="en",
        subject="1 critical: Pneumothorax",
        message="To check: the pleural line.",
        disclaimer="Not for clinical use.",
        table_version="alerts 1.0.0",
    )


def waiting(levels: Sequence[int]) -> list[Waiting]:
    return [
        Waiting(key=f"k{number}", alert=alert(level), raised_at=NOW - number * MINUTE)
        for number, level in enumerate(levels)
    ]


def test_the_most_critical_goes_first_then_who_waits_longest() -> None:
    made = plan(NOW, waiting([2, 1, 2, 1]), {}, TABLE)
    assert [one.key for one in made.send] == ["k3", "k1", "k2", "k0"]
    assert (made.held, made.escalate) == (0, ())


@given(st.lists(st.sampled_from([1, 2]), max_size=90), st.integers(0, 40))
def test_what_the_limit_holds_back_is_counted_and_goes_out_later(levels: list[int], already: int) -> None:
    sent = {f"s{number}": Sent(level=2, sent_at=NOW - MINUTE, acknowledged_at=NOW) for number in range(already)}
    queue = waiting(levels)
    made = plan(NOW, queue, sent, TABLE)
    assert len(made.send) + made.held == len(levels)
    assert len(made.send) + already <= max(TABLE.per_hour, already)
    worst_held = min((one.alert.level for one in queue if one not in made.send), default=9)
    assert all(one.alert.level <= worst_held for one in made.send)

    everything, now = [one.key for one in made.send], NOW
    for _ in range(5):
        for one in made.send:
            sent[one.key] = Sent(level=one.alert.level, sent_at=now, acknowledged_at=now)
        if made.again_at is None:
            break
        now = made.again_at
        made = plan(now, queue, sent, TABLE)
        everything += [one.key for one in made.send]
    assert sorted(everything) == sorted(one.key for one in queue)


def test_what_was_sent_is_not_sent_again() -> None:
    queue = waiting([1, 1])
    sent = {"k0": Sent(level=1, sent_at=NOW)}
    assert [one.key for one in plan(NOW, queue, sent, TABLE).send] == ["k1"]
    assert [one.key for one in plan(NOW, [*queue, *queue], {}, TABLE).send] == ["k1", "k0"]


@pytest.mark.parametrize(("level", "minutes"), sorted(TABLE.escalate_after_minutes.items()))
def test_an_alert_is_escalated_once_when_nobody_acknowledged_it_in_time(level: int, minutes: int) -> None:
    entry = Sent(level=level, sent_at=NOW)
    due = NOW + minutes * MINUTE
    before = plan(due - timedelta(seconds=1), [], {"k": entry}, TABLE)
    assert (before.escalate, before.again_at) == ((), due)
    assert plan(due, [], {"k": entry}, TABLE).escalate == ("k",)
    later = plan(due + 1000 * MINUTE, [], {"k": replace(entry, escalated_at=due)}, TABLE)
    assert (later.escalate, later.again_at) == ((), None)


def test_an_acknowledgement_on_one_channel_counts_on_all() -> None:
    sent = {"k0": Sent(level=1, sent_at=NOW)}
    late = NOW + 60 * MINUTE
    made = plan(late, waiting([1, 1]), sent, TABLE, acknowledged={"k0": NOW, "k1": NOW})
    assert (made.send, made.escalate, made.held, made.again_at) == ((), (), 0, None)


def test_a_key_follows_from_the_alert_and_not_from_its_words() -> None:
    first = alert()
    assert alert_key(first) == alert_key(replace(first, message="other words", subject="x", language="de"))
    others = [
        alert_key(first, 2),
        alert_key(alert(2)),
        alert_key(alert(study="1.3")),
        alert_key(replace(first, tier="B")),
        alert_key(replace(first, finding="effusion")),
    ]
    assert len({alert_key(first), *others}) == 6
