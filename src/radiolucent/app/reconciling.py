"""A comparison with the PACS of the settings when a person asks for one."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from radiolucent.app.parts import Parts
from radiolucent.app.peers import make_pacs
from radiolucent.errors import SetupError
from radiolucent.ingest.spool import Spool
from radiolucent.pipeline.reconciling import Reconciliation, keep, reconcile
from radiolucent.settings import Settings

LONGEST_DAYS = 366


def days_of(settings: Settings, since: str, until: str, *, today: date | None = None) -> tuple[date, date]:
    """First and last day, ``YYYYMMDD``; empty ones as the nightly job takes them: some days, until yesterday.

    Raises
    ------
    SetupError
        If one is no date, they stand in the wrong order, or they are more than a year apart.
    """
    last = _day(until) if until else (today or datetime.now(UTC).astimezone().date()) - timedelta(days=1)
    first = _day(since) if since else last - timedelta(days=settings.reconcile.days - 1)
    if not timedelta() <= last - first < timedelta(days=LONGEST_DAYS):
        raise SetupError(f"from {first} to {last} is no span of days, or more than a year")
    return first, last


def reconcile_now(parts: Parts, names: tuple[str, ...], since: date, until: date) -> list[Reconciliation]:
    """Compare now with these PACS, or with all that are compared each night; the results are kept.

    Raises
    ------
    SetupError
        If a name isn't in the settings, or no PACS has ``reconcile = true``.
    QueryFailed
        If a PACS doesn't answer.
    """
    settings = parts.settings
    unknown = sorted(set(names) - {one.name for one in settings.pacs})
    if unknown:
        raise SetupError(f"there is no PACS {unknown[0]!r} in the settings")
    chosen = [one for one in settings.pacs if (one.name in names if names else one.reconcile)]
    if not chosen:
        raise SetupError("no PACS is compared with: set reconcile = true for one, or name one with --pacs")
    spool = Spool(parts.archive.incoming)
    found = []
    for one in chosen:
        pacs = make_pacs(one, spool, listener_ae=settings.listener.ae_title)
        found.append(reconcile(parts.store, pacs, since=since, until=until, modalities=settings.reconcile.modalities))
        keep(parts.store, found[-1], at=datetime.now(UTC))
    return found


def _day(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise SetupError(f"{text[:20]!r} is no date: write YYYYMMDD") from error
