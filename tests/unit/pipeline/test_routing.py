"""Routes: the first that fits, patterns, and what is refused at start."""

from datetime import UTC, datetime
from typing import Any

import pytest

from radiolucent.errors import SetupError
from radiolucent.pipeline.routing import Route, check_routes, choose_route
from radiolucent.store.records import StudyRecord

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def study(**told: Any) -> StudyRecord:
    plain: dict[str, Any] = dict.fromkeys(
        ("patient_id", "patient_name", "accession_number", "study_date", "study_time", "source_kind", "reason"), ""
    )
    known = {"modalities": "CT\\SR", "body_parts": "HEAD", "calling_ae": "CT1", "description": "Head CT", **told}
    return StudyRecord(
        **plain, **known, study_instance_uid="1.2", priority="live", partial=False, expected_instances=None,
        state="arriving", latest_revision=0, first_received_at=NOW, last_received_at=NOW,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("conditions", "taken"),
    [
        ({}, True),
        ({"modalities": ("ct",)}, True),
        ({"modalities": ("MR", "CR")}, False),
        ({"body_parts": ("HEAD",)}, True),
        ({"body_parts": ("CHEST",)}, False),
        ({"calling_ae_titles": ("CT*",)}, True),
        ({"calling_ae_titles": ("MR?",)}, False),
        ({"descriptions": ("*head*",)}, True),
        ({"modalities": ("CT",), "descriptions": ("*chest*",)}, False),
    ],
    ids=str,
)
def test_a_route_takes_what_meets_all_its_conditions(conditions: dict[str, Any], taken: bool) -> None:
    assert Route(name="one", **conditions).takes(study()) is taken


def test_the_first_route_that_fits_is_taken() -> None:
    routes = (Route(name="mr", modalities=("MR",)), Route(name="ct", modalities=("CT",)), Route(name="rest"))
    chosen = choose_route(study(), routes)
    assert chosen is not None
    assert chosen.name == "ct"
    assert choose_route(study(), routes[:1]) is None


@pytest.mark.parametrize(
    ("routes", "said"),
    [
        ((), "no route"),
        ((Route(name="a"), Route(name="a")), "two routes"),
        ((Route(name="a", engines=("chest",)),), "no engine 'chest'; installed: brain"),
        ((Route(name="a", destinations=("pcas",)),), "no destination 'pcas'; there: pacs"),
        ((Route(name="a", read=False, destinations=("pacs",)),), "isn't read"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_route_stops_the_start_with_its_reason(routes: tuple[Route, ...], said: str) -> None:
    with pytest.raises(SetupError, match=said):
        check_routes(routes, engines=["brain"], destinations=["pacs"])


def test_right_routes_pass() -> None:
    check_routes(
        [Route(name="a", engines=("brain",), destinations=("pacs",))], engines=["brain"], destinations=["pacs"]
    )
