"""Reports: versions stand beside each other, a signed one stays, and nobody writes over what they haven't seen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from radiolucent.errors import ReportChanged
from radiolucent.store.reports import Report, Reports
from radiolucent.store.unit_of_work import Store, open_store

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store("", tmp_path)
    yield opened
    opened.close()


def keep(store: Store, base: int, *, sign: bool = False, findings: str = "Glioma.", **more: Any) -> Report:
    with store.begin() as work:
        return Reports(work).keep(
            "1.2", findings=findings, impression="", author="r", sign=sign, base=base, now=NOW, **more
        )


def test_versions_are_numbered_and_none_is_replaced(store: Store) -> None:
    keep(store, 0, findings="First.")
    keep(store, 1, findings="Second.", ai=("Second.", "Urgent."), reading_digest="d")
    with store.read() as work:
        first, second = Reports(work).versions("1.2")
        assert Reports(work).versions("1.3") == []
    assert (first.number, first.findings, second.number, second.findings) == (1, "First.", 2, "Second.")
    assert (second.ai_findings, second.ai_impression, second.reading_digest, second.at) == (
        "Second.",
        "Urgent.",
        "d",
        NOW,
    )


def test_what_is_signed_first_is_final_and_after_that_corrected(store: Store) -> None:
    made = [keep(store, base, sign=sign) for base, sign in enumerate([False, True, False, True])]
    assert [one.status for one in made] == ["preliminary", "final", "preliminary", "corrected"]
    assert [one.is_signed for one in made] == [False, True, False, True]


def test_who_began_with_an_older_version_is_refused(store: Store) -> None:
    keep(store, 0)
    with pytest.raises(ReportChanged, match="r kept version 1"):
        keep(store, 0, findings="Mine.")
    with store.read() as work:
        assert [one.findings for one in Reports(work).versions("1.2")] == ["Glioma."]


def test_a_report_in_a_log_line_says_nothing_of_the_patient(store: Store) -> None:
    assert repr(keep(store, 0)) == "Report(1.2, 1, preliminary)"
