"""Alerts of a reading: raised where it is stored, rate-limited, escalated once, acknowledged, taken back; all in rows.

Nothing that is raised is dropped or deleted. Each function may be killed at any point and called again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol

from radiolucent.audit.alert_events import AlertAcknowledged, AlertEnded, AlertEscalated, AlertRaised
from radiolucent.audit.event import SYSTEM
from radiolucent.audit.events import Withheld
from radiolucent.findings.alert_policy import Waiting, alert_key, plan
from radiolucent.findings.alerts import Alert, AlertTable, Sent, Tier, alerts, default_alerts
from radiolucent.findings.reading import Reading
from radiolucent.results.destinations.alert_channels import Channel
from radiolucent.rollout.phases import PHASES
from radiolucent.store.alerts import AlertRecord, Alerts, NewAlert, NoticeRecord, Notices
from radiolucent.store.audit import AuditTrail
from radiolucent.store.site import Site
from radiolucent.store.unit_of_work import Store, Work

AUDIENCE: Final = "alerts"
_HOUR: Final = timedelta(hours=1)
_OFFER: Final = timedelta(minutes=2)
_OVER: Final = ("ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED", "SUCCESS")


@dataclass(frozen=True, kw_only=True)
class Post:
    """A channel to one group of recipients, and what of it goes there.

    Parameters
    ----------
    per_hour : at most so many first messages an hour; None takes the table's number.
    gets : first messages, escalations, or both.
    findings : only these; empty takes all.
    """

    channel: Channel
    per_hour: int | None = None
    gets: Literal["first", "escalation", "both"] = "both"
    least_urgent: int = 4
    tiers: tuple[Tier, ...] = ("A", "B", "C")
    findings: tuple[str, ...] = ()

    def wants(self, alert: AlertRecord, turn: Literal["first", "escalation"]) -> bool:
        """Whether this message goes there."""
        return (
            self.gets in (turn, "both")
            and alert.level <= self.least_urgent
            and alert.tier in self.tiers
            and (not self.findings or alert.finding in self.findings)
        )


@dataclass(frozen=True, kw_only=True)
class AlertRules:
    """What a site wants of alerts. Without any post they are shown in the pages alone."""

    table: AlertTable = field(default_factory=default_alerts)
    language: str = "en"
    posts: Mapping[str, Post] = field(default_factory=dict)


def raise_alerts(work: Work, reading: Reading, revision: int, rules: AlertRules, *, at: datetime) -> int:
    """Raise what a stored reading alerts, in the transaction in which its deliveries are owed; gives how many are new.

    An alert that an earlier revision raised goes on where this one holds the same; where it doesn't, it ends and is
    taken back. Of an engine in shadow, and while the AI is stopped, nothing is raised.
    """
    trail, uid = AuditTrail(work), reading.study_instance_uid
    open_reading, withheld = _told_by(work, reading, rules)
    for code in withheld:
        trail.append(Withheld(at=at, study_instance_uid=uid, audience=AUDIENCE, code=code))
    earlier = {_same(one): one for one in Alerts(work).of_study(uid) if one.state != "ended"}
    new = 0
    for alert in alerts(open_reading, language=rules.language, table=rules.table):
        same = (alert.finding, alert.tier, alert.level)
        if same in earlier:
            Alerts(work).carry(earlier.pop(same).key, revision=revision)
            continue
        key = alert_key(alert, revision)
        if Alerts(work).find(key) is None:
            _raise(work, alert, key, revision, rules, at=at)
            new += 1
    for one in earlier.values():
        if one.revision < revision:
            _end(work, one, reason=f"revision {revision} doesn't hold it", at=at)
    return new


def acknowledge(
    store: Store, key: str, *, actor: str, at: datetime, role: str = "", address: str = ""
) -> tuple[AlertRecord, bool]:
    """Note who took note of an alert; gives it, and whether that was now. Nothing more is sent or escalated then.

    Raises
    ------
    NoSuchStudy
        If there is no alert with this key.
    """
    with store.begin() as work:
        noted = Alerts(work).acknowledge(key, by=actor, at=at)
        alert = Alerts(work).get(key)
        if noted:
            told = Notices(work).cancel(key, reason="acknowledged", at=at)
            channels = dict.fromkeys(one.channel for one in told)
            Notices(work).owe(alert, channels, "acknowledged", at=at, granted=True)
            AuditTrail(work).append(
                AlertAcknowledged(
                    at=at,
                    actor=actor,
                    role=role,
                    address=address,
                    study_instance_uid=alert.study_instance_uid,
                    alert=key,
                    escalated=alert.escalated_at is not None,
                )
            )
    return alert, noted


def take_back(work: Work, study_instance_uid: str, *, reason: str, at: datetime, actor: str = SYSTEM) -> int:
    """End all alerts of a study whose reading is withdrawn; who was told is told so. Gives how many ended."""
    going = [one for one in Alerts(work).of_study(study_instance_uid) if one.state != "ended"]
    for one in going:
        _end(work, one, reason=reason, at=at, actor=actor)
    return len(going)


class Queue(Protocol):
    """What `pipeline.workflows.Queue` offers for alerts."""

    def alert(self, notice: NoticeRecord) -> None:
        """Enqueue the next try of a message; a second time changes nothing."""

    def alert_states(self, notices: tuple[NoticeRecord, ...]) -> dict[int, str]:
        """State of the present try of each message, by its id."""


@dataclass(frozen=True, kw_only=True)
class AlertDesk:
    """Decides what goes out now; one for each store."""

    store: Store
    queue: Queue
    rules: AlertRules

    def turn(self, at: datetime) -> int:
        """Escalate what nobody acknowledged, let through what the limits allow, enqueue what is due."""
        return self._escalate(at) + self._grant(at) + self._dispatch(at)

    def mend(self, at: datetime) -> int:
        """A message in hand whose workflow is over or lost waits again: whether it arrived isn't known."""
        with self.store.read() as work:
            sending = Notices(work).sending()
        states = self.queue.alert_states(sending)
        mended = 0
        for notice in sending:
            if states.get(notice.id) in (None, *_OVER):
                with self.store.begin() as work:
                    if Notices(work).get(notice.id) == notice:
                        reason = "the worker was lost while it sent: sent again with the same id"
                        Notices(work).try_again(notice.id, reason=reason, next_try_at=at)
                        mended += 1
        return mended

    def _escalate(self, at: datetime) -> int:
        with self.store.read() as work:
            open_ones = {one.key: one for one in Alerts(work).unescalated()}
            due = plan(at, (), {key: _sent(one) for key, one in open_ones.items()}, self.rules.table).escalate
            due = tuple(key for key in due if not held_back(work, open_ones[key].engine))
        for key in due:
            with self.store.begin() as work:
                if not Alerts(work).escalate(key, at=at):
                    continue
                alert = Alerts(work).get(key)
                channels = [name for name, post in self.rules.posts.items() if post.wants(alert, "escalation")]
                Notices(work).owe(alert, channels, "escalation", at=at, granted=True)
                minutes = int((at - alert.raised_at).total_seconds() // 60)
                uid = alert.study_instance_uid
                AuditTrail(work).append(AlertEscalated(at=at, study_instance_uid=uid, alert=key, minutes=minutes))
        return len(due)

    def _grant(self, at: datetime) -> int:
        with self.store.read() as work:
            waiting = Notices(work).held()
        granted = 0
        for channel in dict.fromkeys(one.channel for one in waiting):
            with self.store.begin() as work:
                granted += self._grant_on(work, channel, at)
        return granted

    def _grant_on(self, work: Work, channel: str, at: datetime) -> int:
        notices = Notices(work)
        waiting = {one.alert_key: one for one in notices.held() if one.channel == channel}
        records = {key: Alerts(work).get(key) for key in waiting}
        sent = {one.alert_key: Sent(level=one.level, sent_at=one.granted_at or at)
                for one in notices.granted_since(channel, at - _HOUR)}  # fmt: skip
        made = plan(
            at,
            [Waiting(key=key, alert=as_alert(one), raised_at=one.raised_at) for key, one in records.items()],
            sent,
            self._table(channel),
        )
        for one in made.send:
            notices.grant(waiting[one.key].id, held=made.held, at=at)
        return len(made.send)

    def _table(self, channel: str) -> AlertTable:
        post = self.rules.posts.get(channel)
        if post is None or post.per_hour is None:
            return self.rules.table
        return self.rules.table.model_copy(update={"per_hour": post.per_hour})

    def _dispatch(self, at: datetime) -> int:
        with self.store.read() as work:
            due = Notices(work).due(at=at)
        for notice in due:
            post = self.rules.posts.get(notice.channel)
            means_something = post is None or notice.turn in post.channel.takes
            if means_something:
                self.queue.alert(notice)
            with self.store.begin() as work:
                if means_something:
                    Notices(work).offered(notice.id, lasting=_OFFER, at=at)
                else:
                    Notices(work).drop(notice.id, reason=f"{notice.turn}: nothing that this channel tells", at=at)
        return len(due)


def held_back(work: Work, engine: str) -> str:
    """Why an alert of this engine (its label) may not go out now: ``stopped``, ``shadow``, or empty."""
    site = Site(work)
    if site.setting("ai_stopped"):
        return "stopped"
    return "shadow" if site.phases().get(engine.partition("@")[0]) == PHASES[0] else ""


def as_alert(one: AlertRecord) -> Alert:
    """The alert that a row keeps, in the words that it was raised with."""
    return Alert(
        tier=one.tier,  # type: ignore[arg-type]
        level=one.level,
        study_instance_uid=one.study_instance_uid,
        finding=one.finding,
        language=one.language,
        subject=one.subject,
        message=one.message,
        disclaimer=one.disclaimer,
        table_version=one.table_version,
        engine=one.engine,
    )


def _told_by(work: Work, reading: Reading, rules: AlertRules) -> tuple[Reading, tuple[str, ...]]:
    """The reading without the series whose engine may not tell, and why, where those would alert."""
    codes = {series.engine.label: held_back(work, series.engine.label) for series in reading.series}
    told = replace(reading, series=tuple(one for one in reading.series if not codes[one.engine.label]))
    silenced = replace(reading, series=tuple(one for one in reading.series if codes[one.engine.label]))
    raised = alerts(silenced, language=rules.language, table=rules.table)
    return told, tuple(dict.fromkeys(codes[one.engine] for one in raised))


def _raise(work: Work, alert: Alert, key: str, revision: int, rules: AlertRules, *, at: datetime) -> None:
    told = {name: getattr(alert, name) for name in alert.__dataclass_fields__}
    made = Alerts(work).raise_(NewAlert(**told, key=key, revision=revision, raised_at=at))
    channels = [name for name, post in rules.posts.items() if post.wants(made, "first")]
    Notices(work).owe(made, channels, "first", at=at, granted=False)
    AuditTrail(work).append(
        AlertRaised(
            at=at,
            study_instance_uid=alert.study_instance_uid,
            alert=key,
            finding=alert.finding,
            tier=alert.tier,
            level=alert.level,
            revision=revision,
        )
    )


def _end(work: Work, alert: AlertRecord, *, reason: str, at: datetime, actor: str = SYSTEM) -> None:
    Alerts(work).end(alert.key, reason=reason, at=at)
    told = Notices(work).cancel(alert.key, reason=reason, at=at)
    Notices(work).owe(alert, dict.fromkeys(one.channel for one in told), "withdrawn", at=at, granted=True)
    uid = alert.study_instance_uid
    AuditTrail(work).append(AlertEnded(at=at, actor=actor, study_instance_uid=uid, alert=alert.key, reason=reason))


def _same(one: AlertRecord) -> tuple[str, str, int]:
    return one.finding, one.tier, one.level


def _sent(one: AlertRecord) -> Sent:
    """The pages show an alert from the moment it is raised: its time runs from there."""
    return Sent(level=one.level, sent_at=one.raised_at)
