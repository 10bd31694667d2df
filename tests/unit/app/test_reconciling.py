"""Which days and which PACS a person's comparison takes."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from radiolucent.app.parts import compose
from radiolucent.app.reconciling import days_of, reconcile_now
from radiolucent.errors import SetupError
from radiolucent.settings import Settings

TODAY = date(2026, 3, 10)


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        ("", "", (date(2026, 3, 8), date(2026, 3, 9))),
        ("20260301", "", (date(2026, 3, 1), date(2026, 3, 9))),
        ("", "20260302", (date(2026, 3, 1), date(2026, 3, 2))),
        ("20260302", "20260302", (date(2026, 3, 2), date(2026, 3, 2))),
    ],
)
def test_without_days_it_takes_those_of_the_nightly_job(since: str, until: str, expected: tuple[date, date]) -> None:
    assert days_of(Settings(), since, until, today=TODAY) == expected


@pytest.mark.parametrize(("since", "until"), [("soon", ""), ("20260305", "20260301"), ("20200101", "20260101")])
def test_days_that_make_no_sense_are_refused(since: str, until: str) -> None:
    with pytest.raises(SetupError):
        days_of(Settings(), since, until, today=TODAY)


@pytest.mark.parametrize(
    ("pacs", "names", "said"),
    [
        ([], (), "no PACS is compared with"),
        ([{"name": "a", "kind": "dicomweb", "url": "http://a"}], (), "no PACS is compared with"),
        ([{"name": "a", "kind": "dicomweb", "url": "http://a"}], ("b",), "there is no PACS 'b'"),
    ],
)
def test_a_pacs_that_is_not_named_in_the_settings_is_told(
    tmp_path: Path, pacs: list[dict[str, Any]], names: tuple[str, ...], said: str
) -> None:
    settings = Settings(data_folder=tmp_path, pacs=tuple(pacs), work={"engines": ()})  # type: ignore[arg-type]
    parts = compose(settings)
    try:
        with pytest.raises(SetupError, match=said):
            reconcile_now(parts, names, TODAY, TODAY)
    finally:
        parts.store.close()
