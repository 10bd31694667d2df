"""What a site has decided: the phase of each engine and who signed for it, the kill switch, settings, training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import delete, select

from radiolucent.errors import SetupError
from radiolucent.store.room_tables import PhaseRow, SignatureRow, SiteRow, TrainingRow
from radiolucent.store.unit_of_work import Work

SETTINGS: Final[Mapping[str, tuple[str, str, tuple[str, ...]]]] = MappingProxyType(
    {
        "read_first": (
            "collapsed",
            "findings are shown at once (off), behind one click (collapsed), or only after "
            "'I have looked at the images' (forced)",
            ("off", "collapsed", "forced"),
        ),
        "training_minutes": ("120", "active minutes of training before heatmaps are shown", ()),
        "site_name": ("radiolucent", "name of the site, on every page", ()),
        "explanation_days": (
            "30",
            "days for which maps by other methods, made on request, are kept; later they are made anew",
            (),
        ),
        "explanation_mib": ("2048", "MiB of such maps that are kept at most, the oldest go first", ()),
        "ai_stopped": ("", "reason of the kill switch; empty while the AI runs", ()),
    }
)
"""Name → default, what it does, allowed values (any where there are none)."""
_LARGEST: Final = {"training_minutes": 6000, "explanation_days": 3650, "explanation_mib": 1 << 20}
_THRESHOLDS: Final = "thresholds"
_PROFILE: Final = "profile"
BEAT_S: Final = 30.0
"""How often the training page says that its reader is active; of a longer silence no more than this counts."""


@dataclass(frozen=True, kw_only=True)
class PhaseState:
    """The phase of an engine, since when, and which roles have signed the next step (role → account)."""

    engine: str
    phase: str
    since: datetime
    signed: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far an account is with its training."""

    account: str
    active_s: float
    done: Mapping[str, Any]
    passed_at: datetime | None
    granted_by: str


class Site:
    """The site's decisions, as one transaction sees them."""

    def __init__(self, work: Work) -> None:
        self._session = work.session

    def setting(self, name: str) -> str:
        """The value of a setting, or its default."""
        row = self._session.get(SiteRow, name)
        return row.value if row else SETTINGS[name][0]

    def set(self, name: str, value: str) -> str:
        """Change a setting; its value before.

        Raises
        ------
        SetupError
            If there is no such setting or it can't have this value.
        """
        if name not in SETTINGS:
            raise SetupError(f"there is no setting {name!r}")
        allowed = SETTINGS[name][2]
        if allowed and value not in allowed:
            raise SetupError(f"{name} is one of {', '.join(allowed)}")
        most = _LARGEST.get(name)
        if most is not None and not (value.isascii() and value.isdecimal() and int(value) <= most):
            raise SetupError(f"{name} is a whole number up to {most}")
        before = self.setting(name)
        self._session.merge(SiteRow(name=name, value=value))
        self._session.flush()
        return before

    def thresholds(self) -> str:
        """The thresholds that the administration set, as `findings.operating_points.as_toml` writes them; or empty."""
        row = self._session.get(SiteRow, _THRESHOLDS)
        return row.value if row else ""

    def set_thresholds(self, text: str) -> None:
        """Keep thresholds in place of those before."""
        self._session.merge(SiteRow(name=_THRESHOLDS, value=text))
        self._session.flush()

    def profile_uses(self) -> dict[str, str]:
        """What the administration allows single findings to be used for, where that is less than the profile says."""
        row = self._session.get(SiteRow, _PROFILE)
        found: dict[str, str] = json.loads(row.value) if row else {}
        return found

    def set_profile_use(self, finding: str, use: str) -> None:
        """Allow a finding this use; an empty one gives it back to the profile."""
        uses = self.profile_uses() | {finding: use}
        kept = {name: one for name, one in sorted(uses.items()) if one}
        self._session.merge(SiteRow(name=_PROFILE, value=json.dumps(kept)))
        self._session.flush()

    def phase(self, engine: str, *, now: datetime) -> PhaseState:
        """The phase of an engine; one that was never seen is in shadow, from now on."""
        row = self._session.get(PhaseRow, engine)
        signed = {
            one.role: one.account
            for one in self._session.scalars(select(SignatureRow).where(SignatureRow.engine == engine))
        }
        if row is None:
            return PhaseState(engine=engine, phase="shadow", since=now, signed=signed)
        return PhaseState(engine=engine, phase=row.phase, since=row.since, signed=signed)

    def enter(self, engine: str, *, now: datetime) -> None:
        """Let an engine that was never seen enter shadow."""
        if self._session.get(PhaseRow, engine) is None:
            self._session.add(PhaseRow(engine=engine, phase="shadow", since=now))

    def phases(self) -> dict[str, str]:
        """Engine → phase, of those that were ever set."""
        return {row.engine: row.phase for row in self._session.scalars(select(PhaseRow))}

    def set_phase(self, engine: str, phase: str, *, now: datetime) -> None:
        """Let an engine enter a phase; signatures are used up."""
        self._session.merge(PhaseRow(engine=engine, phase=phase, since=now))
        self._session.execute(delete(SignatureRow).where(SignatureRow.engine == engine))
        self._session.flush()

    def sign(self, engine: str, to: str, *, role: str, account: str, now: datetime) -> None:
        """Keep a role's signature.

        Raises
        ------
        SetupError
            If the same person has signed for the other role: two people must.
        """
        for one in self._session.scalars(select(SignatureRow).where(SignatureRow.engine == engine)):
            if one.account == account and one.role != role:
                raise SetupError("two different people must sign")
        self._session.merge(SignatureRow(engine=engine, to=to, role=role, account=account, at=now))
        self._session.flush()

    def progress(self, account: str, edition: str) -> Progress:
        """How far an account is."""
        row = self._session.get(TrainingRow, (account, edition))
        if row is None:
            return Progress(account=account, active_s=0.0, done={}, passed_at=None, granted_by="")
        return Progress(
            account=account,
            active_s=row.active_s,
            done=json.loads(row.done),
            passed_at=row.passed_at,
            granted_by=row.granted_by,
        )

    def beat(self, account: str, edition: str, *, now: datetime) -> float:
        """Count activity since the last beat, at most `BEAT_S` of it; the seconds in all."""
        row = self._training(account, edition)
        if row.beat_at is not None:
            row.active_s += min(max((now - row.beat_at).total_seconds(), 0.0), BEAT_S)
        row.beat_at = now
        return row.active_s

    def pause(self, account: str, edition: str) -> None:
        """Stop counting: the page was left."""
        self._training(account, edition).beat_at = None

    def step(self, account: str, edition: str, step: str, result: Any) -> None:
        """Keep the result of a step."""
        row = self._training(account, edition)
        row.done = json.dumps(json.loads(row.done) | {step: result}, sort_keys=True)

    def passed(self, account: str, edition: str, *, now: datetime, granted_by: str = "", reason: str = "") -> None:
        """Open the gate."""
        row = self._training(account, edition)
        row.passed_at, row.granted_by, row.reason = now, granted_by, reason

    def _training(self, account: str, edition: str) -> TrainingRow:
        row = self._session.get(TrainingRow, (account, edition))
        if row is None:
            row = TrainingRow(account=account, edition=edition, active_s=0.0, done="{}", granted_by="", reason="")
            self._session.add(row)
            self._session.flush()
        return row
