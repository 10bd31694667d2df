"""Which ways in the settings ask for, and what each does at a turn."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final

from radiolucent.app.parts import Parts
from radiolucent.app.peers import criteria_of, make_pacs, make_worklist
from radiolucent.app.ways import Done, Step
from radiolucent.ingest.pacs import Pacs
from radiolucent.ingest.priors import PriorTerms
from radiolucent.ingest.receiving import ANSWERS, Outcome
from radiolucent.ingest.spool import Spool
from radiolucent.ingest.watched_folder import FolderWatcher
from radiolucent.ingest.watched_pacs import PacsWatcher
from radiolucent.pipeline.coordinating import Coordinator
from radiolucent.pipeline.counting import Counting
from radiolucent.pipeline.fetching import FetchLedger
from radiolucent.pipeline.ordering import OrderSearch
from radiolucent.pipeline.priors import PriorSearch
from radiolucent.pipeline.receiving import BACKFILL, WATCHED, StoreReceiver
from radiolucent.pipeline.reconciling import DailyReconciling
from radiolucent.settings.ways import PacsSettings, WatchedFolderSettings

LOG: Final = logging.getLogger(__name__)
ASK_EVERY_S: Final = 1.0
COUNT_EVERY_S: Final = 2.0
LOOK_AT_CLOCK_S: Final = 60.0


def steps_in(parts: Parts, coordinator: Coordinator, receiver: StoreReceiver, spool: Spool) -> Iterator[Step]:
    """Everything that runs beside the listener, by the settings."""
    settings = parts.settings
    for folder in settings.watched_folders:
        yield _folder(folder, receiver, spool)
    made = {one.name: make_pacs(one, spool, listener_ae=settings.listener.ae_title) for one in settings.pacs}
    for one in settings.pacs:
        if one.watch_modalities:
            yield _watch(one, made[one.name], parts, receiver)
    yield from _questions(parts, coordinator, receiver, made)
    to_compare = [made[one.name] for one in settings.pacs if one.reconcile]
    if to_compare:
        daily = DailyReconciling(
            store=parts.store,
            pacs=to_compare,
            at=settings.reconcile.at,
            days=settings.reconcile.days,
            modalities=settings.reconcile.modalities,
        )
        yield Step(name="reconcile", turn=lambda: _reconcile(daily), every_s=LOOK_AT_CLOCK_S)


def _questions(
    parts: Parts, coordinator: Coordinator, receiver: StoreReceiver, made: dict[str, Pacs]
) -> Iterator[Step]:
    settings, store = parts.settings, parts.store
    with_priors = [made[one.name] for one in settings.pacs if one.priors]
    if with_priors:
        chosen = settings.priors
        search = PriorSearch(
            store=store,
            pacs=with_priors,
            receiver=receiver,
            terms=PriorTerms(most=chosen.most, oldest_days=chosen.oldest_days),
            read_again=coordinator.read_again if chosen.read_again and settings.work.compare_with_priors else None,
            give_up_after=timedelta(hours=chosen.give_up_after_h),
        )
        yield Step(name="priors", turn=_counted(search.turn), every_s=ASK_EVERY_S)
    worklist = make_worklist(settings)
    if worklist is not None:
        orders = OrderSearch(
            store=store, worklist=worklist, give_up_after=timedelta(hours=settings.worklist.give_up_after_h)
        )
        yield Step(name="worklist", turn=_counted(orders.turn), every_s=ASK_EVERY_S)
    with_counts = [made[one.name] for one in settings.pacs if one.counts]
    if with_counts:
        counting = Counting(store=store, pacs=with_counts)
        yield Step(name="counts", turn=_counted(counting.turn), every_s=COUNT_EVERY_S)


def _counted(turn: Callable[[], int | None]) -> Callable[[], Done]:
    def counted() -> Done:
        taken = turn()
        return Done(taken=taken or 0, idle=taken is None)

    return counted


def _folder(chosen: WatchedFolderSettings, receiver: StoreReceiver, spool: Spool) -> Step:
    watcher = FolderWatcher(folder=chosen.folder, receiver=receiver, spool=spool, settle_s=chosen.settle_s)
    return Step(name=f"folder {chosen.name}", turn=lambda: folder_told(watcher.sweep()), every_s=chosen.every_s)


def folder_told(outcomes: Counter[Outcome]) -> Done:
    """What a sweep of a folder says of the way: files that stay for now are trouble, refused ones are put aside.

    >>> folder_told(Counter({Outcome.STORED: 2, Outcome.OUT_OF_SPACE: 1}))
    Done(taken=2, trouble='1 files stay where they are: the archive is full: send again later', idle=False)
    """
    taken = sum(count for outcome, count in outcomes.items() if ANSWERS[outcome].accepted)
    stay = [outcome for outcome in (Outcome.OUT_OF_SPACE, Outcome.FAILED) if outcomes[outcome]]
    trouble = "; ".join(f"{outcomes[one]} files stay where they are: {ANSWERS[one].comment}" for one in stay)
    return Done(taken=taken, trouble=trouble)


def _watch(chosen: PacsSettings, pacs: Pacs, parts: Parts, receiver: StoreReceiver) -> Step:
    purpose = BACKFILL if chosen.watch_yields else WATCHED
    ledger = FetchLedger(store=parts.store, pacs=chosen.name, purpose=purpose)
    watcher = PacsWatcher(pacs=pacs, criteria=criteria_of(chosen), receiver=receiver, ledger=ledger)

    def turn() -> Done:
        swept = watcher.sweep()
        taken = sum(one.instances or 1 for one in swept.fetched)
        return Done(taken=taken, trouble=f"{len(swept.failed)} studies can't be fetched" if swept.failed else "")

    return Step(name=f"pacs {chosen.name}", turn=turn, every_s=chosen.watch_every_s)


def _reconcile(daily: DailyReconciling) -> Done:
    for found in daily.turn():
        if found.differences:
            LOG.warning(
                "%s and this gateway differ in %d studies: radiolucent study reconcile", found.pacs, found.differences
            )
    return Done()
