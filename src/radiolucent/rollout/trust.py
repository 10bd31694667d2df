"""What a reader's trust and record change on the study page: a table of rules, ``trust.toml``, and its application."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from radiolucent.errors import SetupError

Effect = Literal["method-comparison", "differential", "similar-accepted", "failure-modes", "reminder", "withhold"]
EFFECTS: tuple[Effect, ...] = get_args(Effect)
MOST_WITHHELD = 0.2
"""No site may withhold more than this share: the AI is there to be used."""
WORDS: dict[Effect, str] = {
    "method-comparison": "other explanation methods are offered opened, with their agreement",
    "differential": "what else the engine considered, with scores and thresholds",
    "similar-accepted": "similar findings that readers here have accepted",
    "failure-modes": "known limits of the engine, and why its findings were rejected here",
    "reminder": "a reminder to look first",
    "withhold": "now and then the AI is shown only after your own reading; never with critical or urgent findings",
}


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class When(_Row):
    """All of these must hold; what isn't known never holds."""

    decisions_at_least: int = Field(default=1, ge=1)
    rated_at_least: int = Field(default=0, ge=0)
    trust_at_most: float | None = Field(default=None, ge=1, le=5)
    trust_at_least: float | None = Field(default=None, ge=1, le=5)
    acceptance_at_most: float | None = Field(default=None, ge=0, le=1)
    acceptance_at_least: float | None = Field(default=None, ge=0, le=1)

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        bounds = (self.trust_at_most, self.trust_at_least, self.acceptance_at_most, self.acceptance_at_least)
        if all(bound is None for bound in bounds):
            raise ValueError("a rule needs a bound on trust or on acceptance")
        if (self.trust_at_most is not None or self.trust_at_least is not None) and self.rated_at_least < 1:
            raise ValueError("a bound on trust needs rated_at_least: without ratings there is no trust")
        return self


class TrustRule(_Row):
    """One rule: when it applies, what it then changes, what the reader is told, and why it is there."""

    name: str = Field(pattern=r"^[a-z0-9-]{2,40}$")
    label: str
    when: When
    effects: tuple[Effect, ...] = Field(min_length=1)
    withhold_share: float | None = Field(default=None, gt=0, le=MOST_WITHHELD)
    says: str
    why: str

    @model_validator(mode="after")
    def _has_a_share_where_it_withholds(self) -> Self:
        if ("withhold" in self.effects) != (self.withhold_share is not None):
            raise ValueError(f"{self.name}: withhold and withhold_share belong together")
        return self


class TrustTable(_Row):
    """All rules, and of which decisions the figures are."""

    version: str
    days: int = Field(ge=1, le=3650)
    decisions: int = Field(ge=1, le=1000)
    rule: tuple[TrustRule, ...] = ()

    @model_validator(mode="after")
    def _names_each_rule_once(self) -> Self:
        names = [rule.name for rule in self.rule]
        if len(set(names)) != len(names):
            raise ValueError("two rules have one name")
        return self


@dataclass(frozen=True, kw_only=True)
class Record:
    """One reader's own latest decisions, as figures.

    Parameters
    ----------
    decisions, rated : how many there are, and how many of them came with a trust rating.
    trust : mean of the ratings, 1 to 5; None without any.
    acceptance : share accepted as it was; None without any decision.
    """

    decisions: int
    rated: int
    trust: float | None
    acceptance: float | None

    @property
    def words(self) -> str:
        """One phrase with its numbers.

        >>> Record(decisions=8, rated=5, trust=2.2, acceptance=0.5).words
        'your last 8 decisions: 50 % accepted; mean trust 2.2 of 5 (5 rated)'
        """
        if not self.decisions:
            return "no decision of yours yet"
        trust = "no trust rated" if self.trust is None else f"mean trust {self.trust:.1f} of 5 ({self.rated} rated)"
        return f"your last {self.decisions} decisions: {100 * (self.acceptance or 0):.0f} % accepted; {trust}"


def record_of(outcomes: Sequence[tuple[str, int | None]]) -> Record:
    """The figures of decisions, each as (outcome, trust or None).

    >>> record_of([("accept", 4), ("reject", None)]).acceptance
    0.5
    """
    ratings = [trust for _, trust in outcomes if trust is not None]
    return Record(
        decisions=len(outcomes),
        rated=len(ratings),
        trust=sum(ratings) / len(ratings) if ratings else None,
        acceptance=sum(outcome == "accept" for outcome, _ in outcomes) / len(outcomes) if outcomes else None,
    )


def applying(record: Record, table: TrustTable) -> tuple[TrustRule, ...]:
    """The rules that hold for this record, in the table's order."""
    return tuple(rule for rule in table.rule if _holds(rule.when, record))


def drawn(rule: TrustRule, *, study: str, reader: str, digest: str) -> bool:
    """Whether this rule withholds the AI of this reading from this reader: the same answer each time.

    A hash of rule, study, reader and reading takes the place of chance, so that a reload changes nothing and everyone
    can check it afterwards.
    """
    if rule.withhold_share is None:
        return False
    seed = hashlib.sha256(f"{rule.name}|{study}|{reader}|{digest}".encode()).digest()
    return int.from_bytes(seed[:8], "big") / 2**64 < rule.withhold_share


@cache
def default_trust() -> TrustTable:
    """The packaged table."""
    return parse_trust(packaged_text(), "trust.toml")


def packaged_text() -> str:
    """The packaged table as it is written, comments and all: what a site begins with."""
    return files("radiolucent.rollout").joinpath("trust.toml").read_text(encoding="utf-8")


def parse_trust(text: str, name: str = "the table") -> TrustTable:
    """A site's own table.

    Raises
    ------
    SetupError
        If it isn't TOML, or a rule, bound or effect in it is unknown, missing or out of range.
    """
    try:
        return TrustTable.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise SetupError(f"{name} is no TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SetupError(f"{name} is no table of trust rules: {where or 'table'}: {first['msg']}") from error


def _holds(when: When, record: Record) -> bool:
    if record.decisions < when.decisions_at_least or record.rated < when.rated_at_least:
        return False
    return (
        _at_most(record.trust, when.trust_at_most)
        and _at_least(record.trust, when.trust_at_least)
        and _at_most(record.acceptance, when.acceptance_at_most)
        and _at_least(record.acceptance, when.acceptance_at_least)
    )


def _at_most(value: float | None, bound: float | None) -> bool:
    return bound is None or (value is not None and value <= bound)


def _at_least(value: float | None, bound: float | None) -> bool:
    return bound is None or (value is not None and value >= bound)
