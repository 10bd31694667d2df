"""Trust rules: which hold for which record, what they withhold, and what is refused as a table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.errors import SetupError
from radiolucent.rollout.trust import (
    EFFECTS,
    MOST_WITHHELD,
    WORDS,
    applying,
    default_trust,
    drawn,
    packaged_text,
    parse_trust,
    record_of,
)

OUTCOMES = st.lists(st.tuples(st.sampled_from(["accept", "modify", "reject"]), st.none() | st.integers(1, 5)))


def names(*outcomes: tuple[str, int | None]) -> list[str]:
    return [rule.name for rule in applying(record_of(outcomes), default_trust())]


def test_who_has_decided_nothing_sees_no_rule() -> None:
    assert names() == []


def test_low_trust_brings_more_detail() -> None:
    assert names(*[("accept", 2)] * 5) == ["low-trust"]
    [rule] = applying(record_of([("accept", 2)] * 5), default_trust())
    assert set(rule.effects) == {"method-comparison", "differential", "similar-accepted", "failure-modes"}


def test_too_few_ratings_say_nothing_of_trust() -> None:
    assert names(*[("accept", 1)] * 4, *[("accept", None)] * 10) == []


def test_high_trust_with_high_acceptance_brings_a_reminder() -> None:
    assert names(*[("accept", 5)] * 20) == ["high-acceptance"]
    assert names(*[("accept", 5)] * 18, *[("reject", 5)] * 2) == []
    assert names(*[("accept", 5)] * 19) == []


def test_rejecting_much_brings_failure_modes() -> None:
    assert names(*[("reject", None)] * 6, *[("accept", None)] * 4) == ["many-rejections"]


@given(OUTCOMES)
def test_figures_lie_within_their_bounds(outcomes: list[tuple[str, int | None]]) -> None:
    record = record_of(outcomes)
    assert (record.trust is None) == (record.rated == 0)
    assert record.trust is None or 1 <= record.trust <= 5
    assert record.acceptance is None or 0 <= record.acceptance <= 1
    assert record.words


def test_what_is_withheld_is_the_same_each_time_and_about_the_share_of_the_rule() -> None:
    rule = next(rule for rule in default_trust().rule if "withhold" in rule.effects)
    first = [drawn(rule, study=f"1.2.{n}", reader="r", digest="d") for n in range(4000)]
    again = [drawn(rule, study=f"1.2.{n}", reader="r", digest="d") for n in range(4000)]
    other = [drawn(rule, study=f"1.2.{n}", reader="s", digest="d") for n in range(4000)]
    assert first == again
    assert first != other
    assert rule.withhold_share is not None
    assert abs(sum(first) / 4000 - rule.withhold_share) < 0.015


def test_a_rule_without_the_effect_withholds_nothing() -> None:
    assert not any(drawn(default_trust().rule[0], study=str(n), reader="r", digest="d") for n in range(100))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('version = "1"', 'version = "1'),
        ("trust_at_most = 2.5", "trust_at_most = 9"),
        ("trust_at_most = 2.5", "trust_at_mots = 2.5"),
        ("withhold_share = 0.05", f"withhold_share = {MOST_WITHHELD + 0.1}"),
        ("withhold_share = 0.05", ""),
        ('name = "many-rejections"', 'name = "low-trust"'),
        ('"reminder", "withhold"', '"scare"'),
        ("rated_at_least = 5\n", ""),
        ("acceptance_at_most = 0.5", ""),
    ],
)
def test_what_is_no_table_is_refused_with_a_reason(old: str, new: str) -> None:
    assert old in packaged_text()
    with pytest.raises(SetupError, match=r"table|TOML"):
        parse_trust(packaged_text().replace(old, new))


def test_every_effect_has_its_words() -> None:
    assert set(WORDS) == set(EFFECTS)
