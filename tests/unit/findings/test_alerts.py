"""Tiered alerts: which tier, which words, what they may not recommend, how many, and one escalation."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from radiolucent.findings.alerts import Sent, alerts, default_alerts, may_send, must_escalate, site_alerts, tier
from radiolucent.findings.judgement import judge
from radiolucent.findings.phrases import phrases
from radiolucent.findings.profile import Profile, apply
from radiolucent.findings.reading import Finding, Graded, Localisation, Reading
from radiolucent.findings.tables import InvalidTable
from radiolucent.findings.taxonomy import FINDINGS

MakeFinding = Callable[..., Finding]
MakeReading = Callable[..., Reading]
MakeLocalisation = Callable[..., Localisation]
TABLE = default_alerts()
NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
RECOMMENDS = (
    r"recommend",
    r"should",
    r"\bmust\b",
    r"treat",
    r"call\b",
    r"surg",
    r"empfehl",
    r"sollte",
    r"\bmuss\b",
    r"normal",
)


def graded(level: str, *reasons: str) -> Graded:
    return Graded(level=level, reasons=reasons or ("row: why",), table_version="1")


@pytest.mark.parametrize(
    ("focality", "confidence", "expected"),
    [
        ("focal", graded("high"), "A"),
        ("focal", graded("moderate"), "B"),
        ("diffuse", graded("high"), "B"),
        ("multifocal", graded("high"), "B"),
        ("focal", graded("low"), "B"),
        ("focal", None, "B"),
        ("focal", graded("low", "conflict: x", "review: evidence outside the head"), "C"),
        ("diffuse", graded("moderate", "x: y", "review: z"), "C"),
    ],
)
def test_the_tier_follows_focality_confidence_and_conflict(
    a_finding: MakeFinding, a_localisation: MakeLocalisation, focality: str, confidence: Graded | None, expected: str
) -> None:
    place = a_localisation(focality=focality)
    finding = a_finding(localisation=place, confidence=confidence, urgency=graded("1 critical"))
    assert tier(finding, TABLE) == expected


@pytest.mark.parametrize("level", ["3 soon", "4 routine", "5 no finding above threshold"])
def test_less_urgent_findings_do_not_alert(a_finding: MakeFinding, level: str) -> None:
    assert tier(a_finding(urgency=graded(level), confidence=graded("high")), TABLE) is None


def test_a_finding_below_threshold_or_not_graded_does_not_alert(a_finding: MakeFinding) -> None:
    assert tier(a_finding(positive=False, urgency=graded("1 critical")), TABLE) is None
    assert tier(a_finding(), TABLE) is None


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("name", sorted(FINDINGS))
def test_every_message_says_what_to_check_and_recommends_nothing(
    a_finding: MakeFinding, a_reading: MakeReading, name: str, language: str
) -> None:
    words = phrases(language)
    for confidence in (graded("high"), graded("low"), graded("low", "conflict: x", "review: unexpected site")):
        reading = a_reading(a_finding(name, urgency=graded("1 critical"), confidence=confidence))
        (alert,) = alerts(reading, language=language)
        assert "; ".join(words.verify[name]) in alert.message
        assert alert.disclaimer == words.disclaimer
        found = [word for word in RECOMMENDS if re.search(word, alert.subject + alert.message, re.IGNORECASE)]
        assert found == []


def test_the_most_critical_finding_alerts_first(a_finding: MakeFinding, a_reading: MakeReading) -> None:
    reading = judge(
        a_reading(a_finding("glioma", probability=0.99), a_finding("acute-infarct"), a_finding("nodule")),
        bundle_priors={("brain-mri", "glioma"): np.zeros((2, 2), dtype=np.float32)},
        body_boxes={"2.25.100": (0, 0, 64, 64)},
    )
    found = alerts(reading)
    assert [(alert.finding, alert.level, alert.tier) for alert in found] == [
        ("acute-infarct", 1, "B"),
        ("glioma", 2, "C"),
    ]
    assert found[1].subject == "2 urgent: glioma, the result disagrees with itself"
    assert found[1].message.startswith("Consistent with glioma, but unexpected site. Left, anterior, middle third")


def test_without_localisation_no_alert_names_a_place(a_finding: MakeFinding, a_reading: MakeReading) -> None:
    reading = judge(a_reading(a_finding("acute-infarct")), bundle_priors={}, body_boxes={})
    limited = apply(reading, Profile(version="1", site="s", default="notify", findings={}))
    (alert,) = alerts(limited)
    assert "left" not in alert.message.lower()
    assert "Its place is not part of the intended use here" in alert.message


def test_an_unknown_language_is_refused(a_reading: MakeReading) -> None:
    with pytest.raises(InvalidTable, match="use one of"):
        alerts(a_reading(), language="fr")
    with pytest.raises(InvalidTable, match="no alert texts in 'fr'"):
        alerts(a_reading(), language="fr", words=phrases("en"))


def test_a_channel_carries_no_more_than_its_limit_within_an_hour() -> None:
    old = Sent(level=1, sent_at=NOW - timedelta(minutes=61))
    recent = Sent(level=1, sent_at=NOW - timedelta(minutes=59))
    assert may_send(NOW, [recent] * (TABLE.per_hour - 1) + [old] * 50, TABLE)
    assert not may_send(NOW, [recent] * TABLE.per_hour, TABLE)


@pytest.mark.parametrize(("level", "minutes", "due"), [(1, 14, False), (1, 15, True), (2, 59, False), (2, 60, True)])
def test_an_alert_that_nobody_acknowledged_is_escalated_once(level: int, minutes: int, due: bool) -> None:
    entry = Sent(level=level, sent_at=NOW - timedelta(minutes=minutes))
    assert must_escalate(NOW, entry, TABLE) is due
    assert not must_escalate(NOW, replace(entry, acknowledged_at=NOW), TABLE)
    assert not must_escalate(NOW, replace(entry, escalated_at=NOW), TABLE)


def test_a_level_that_never_alerts_is_never_escalated() -> None:
    assert not must_escalate(NOW, Sent(level=4, sent_at=NOW - timedelta(days=9)), TABLE)


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("To check: {verify}.", "See yourself.", "what to verify"),
        ("{claim}. {place}", "{patient}. {place}", "unknown field 'patient'"),
        ("{claim}. {place}", "{claim. {place}", "braces"),
        ("{ 1 = 15, 2 = 60 }", "{ 1 = 15 }", "one entry for each level"),
        ("[de.C]", "[de.A2]", "de"),
        ('C = "the parts of the result disagree"\n', "", "must hold A, B and C"),
    ],
)
def test_a_site_table_with_a_fault_is_refused(tmp_path: Path, before: str, after: str, why: str) -> None:
    packaged = resources.files("radiolucent.findings").joinpath("tables", "alerts.toml").read_text(encoding="utf-8")
    assert before in packaged
    path = tmp_path / "alerts.toml"
    path.write_text(packaged.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(InvalidTable, match=why):
        site_alerts(path)
