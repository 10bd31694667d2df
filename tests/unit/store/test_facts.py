"""A reading in short: what lists and figures need, the same after a round through the database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from radiolucent.findings.reading import ExplanationVerdict, Graded, Reading, Refusal, UnreadSeries
from radiolucent.imaging.study import Problem
from radiolucent.store.facts import EngineFact, Facts, facts_of, reason_of
from radiolucent.store.revisions import NewReading, Readings, Revisions
from radiolucent.store.unit_of_work import Store
from tests.unit.findings.conftest import make_finding, make_series

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CRITICAL = Graded(level="1 Critical", reasons=(), table_version="t")
HELD_BACK = ExplanationVerdict(decision="do-not-show", use_case="u", checks=(), reasons=(), table_version="t")


def a_reading(*, unread: tuple[UnreadSeries, ...] = (), problems: tuple[Problem, ...] = ()) -> Reading:
    found = make_finding("glioma", positive=True, urgency=CRITICAL, explanation=HELD_BACK)
    below = make_finding("meningioma", positive=False)
    return Reading(study_instance_uid="1.1", series=(make_series(found, below),), unread=unread, problems=problems)


def refused(code: str, engine: str = "") -> UnreadSeries:
    refusal = Refusal(code=code, reason=f"because {code}", engine=engine)
    return UnreadSeries(series_instance_uid="9", modality="CT", description="", frames=1, refusals=(refusal, refusal))


def test_positive_findings_are_told_with_what_the_gate_decided() -> None:
    facts = facts_of(a_reading())
    [finding] = facts.findings
    assert (finding.name, finding.level, finding.gate, finding.rank) == ("glioma", 1, "do-not-show", 1)
    assert [(one.name, one.positive, one.rank) for one in facts.below] == [("meningioma", False, 2)]
    assert [(engine.level, engine.failed) for engine in facts.engines] == [(1, False)]
    assert facts.engines[0].name == facts.engines[0].engine.split("@")[0]
    assert (facts.unread, facts.reason) == ("", "")


def test_why_something_was_not_read_is_told_by_its_gravest_kind() -> None:
    assert facts_of(a_reading(unread=(refused("body-part"),))).unread == "out-of-scope"
    assert facts_of(a_reading(unread=(refused("body-part"), refused("unreadable-pixels")))).unread == "unreadable"
    assert (
        facts_of(a_reading(unread=(refused("unreadable-pixels"), refused("engine-failed")))).unread == "engine-failed"
    )
    assert facts_of(Reading(study_instance_uid="1.1", series=())).unread == "unreadable"
    assert reason_of(a_reading(unread=(refused("body-part"),))) == "because body-part"


def test_an_engine_that_broke_off_is_told_wherever_it_is_noted() -> None:
    by_refusal = facts_of(a_reading(unread=(refused("engine-failed", "spine@2.0"),)))
    words = "axial: spine@2.0 failed on this series: out of memory"
    problem = Problem(code="engine-failed", reason=words, study_instance_uid="1.1", series_instance_uid="2")
    for facts in (by_refusal, facts_of(a_reading(problems=(problem,)))):
        assert EngineFact(engine="spine@2.0", failed=True) in facts.engines


def test_facts_come_back_as_they_were_kept_and_are_missed_until_then(store: Store, receive: Any) -> None:
    receive("1", study="1.1")
    reading = a_reading(unread=(refused("engine-failed", "spine@2.0"),))
    new = NewReading(
        study_instance_uid="1.1",
        revision=1,
        state="partly-read",
        folder="f",
        digest="d",
        urgency=1,
        positives="glioma",
        engines="e",
        made_at=NOW,
    )
    with store.begin() as work:
        Revisions(work).plan("1.1", [], ["e"], made_at=NOW)
        Readings(work).add(new)
        assert [one.study_instance_uid for one in Facts(work).missing()] == ["1.1"]
        Facts(work).keep(reading, revision=1)
        Facts(work).keep(reading, revision=1)
        assert Facts(work).missing() == ()
    with store.read() as work:
        found = Facts(work).of([("1.1", 1), ("1.1", 2)])
        engine = reading.series[0].engine.label
        assert [one.positive for one in Facts(work).scores(engine, "glioma")] == [True]
        assert [one.positive for one in Facts(work).scores(engine, "meningioma")] == [False]
        assert Facts(work).scores("other@1", "glioma") == []
    kept, expected = found.pop(("1.1", 1)), facts_of(reading)
    assert found == {}
    assert sorted(kept.engines, key=str) == sorted(expected.engines, key=str)
    assert (kept.findings, kept.unread, kept.reason) == (expected.findings, expected.unread, expected.reason)
