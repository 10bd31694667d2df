"""What adapts to a reader is kept: editions of the rules, and per reading what they did until the reader has spoken."""

from __future__ import annotations

from datetime import UTC, datetime

from radiolucent.store.adaptation import Adaptations, Adapted
from radiolucent.store.unit_of_work import Store

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def adapted(**changes: object) -> Adapted:
    values = {
        "study_instance_uid": "1.2",
        "reader": "r",
        "reading_digest": "d",
        "rules": "high-acceptance",
        "figures": "20 decisions",
        "withheld": True,
        "at": NOW,
    }
    return Adapted(**(values | changes))  # type: ignore[arg-type]


def test_the_latest_edition_of_the_rules_counts_and_empty_brings_the_packaged_ones_back(store: Store) -> None:
    with store.begin() as work:
        assert Adaptations(work).rules() == ""
        for text in ("a", "b", ""):
            Adaptations(work).set_rules(text, "lead", now=NOW)
            assert Adaptations(work).rules() == text


def test_what_was_done_at_the_first_opening_is_found_again(store: Store) -> None:
    with store.begin() as work:
        Adaptations(work).keep(adapted())
    with store.read() as work:
        assert Adaptations(work).find("1.2", "r", "d") == adapted()
        assert Adaptations(work).find("1.2", "other", "d") is None
        assert list(Adaptations(work).of_reader("r")) == [("1.2", "d")]


def test_a_readers_own_reading_opens_what_was_withheld_once(store: Store) -> None:
    with store.begin() as work:
        kept = Adaptations(work)
        kept.keep(adapted())
        kept.keep(adapted(reading_digest="e", withheld=False))
        assert kept.reveal("1.2", "r", "d", said="glioma", note="left", now=NOW)
        assert not kept.reveal("1.2", "r", "d", said="", note="", now=NOW)
        assert not kept.reveal("1.2", "r", "e", said="", note="", now=NOW)
        assert not kept.reveal("1.3", "r", "d", said="", note="", now=NOW)
        found = kept.find("1.2", "r", "d")
    assert found is not None
    assert (found.said, found.note, found.revealed_at) == ("glioma", "left", NOW)
