"""Groups from headers; what they don't say is a group of its own."""

from __future__ import annotations

import pytest

from radiolucent.monitor.subgroups import BANDS, UNKNOWN, age_band, scanner, sex


@pytest.mark.parametrize(
    ("age", "band"),
    [
        ("000Y", 0),
        ("017Y", 0),
        ("018Y", 1),
        ("039Y", 1),
        ("040Y", 2),
        ("064Y", 2),
        ("065Y", 3),
        ("110Y", 3),
        ("012M", 0),
        ("099W", 0),
        ("400D", 0),
        (" 045y ", 2),
    ],
)
def test_an_age_has_its_band(age: str, band: int) -> None:
    assert age_band(age) == BANDS[band][1]


@pytest.mark.parametrize("dates", [("", ""), ("20260101", "2026"), ("20260102", "20260101"), ("x", "y")])
def test_dates_that_give_no_age_give_no_band(dates: tuple[str, str]) -> None:
    assert age_band("45", born=dates[0], studied=dates[1]) == UNKNOWN


def test_words_of_headers_become_groups() -> None:
    assert [sex(one) for one in ("f", "M ", "O", "X", "")] == ["female", "male", "other", UNKNOWN, UNKNOWN]
    assert scanner(" ACME", " Scan  One ") == "ACME Scan One"
