"""Events are written as canonical JSON and come back as they were."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from radiolucent.audit.events import KINDS, Event, LoggedIn, from_body, to_body
from radiolucent.errors import AuditError

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
_EXAMPLES: dict[str, Any] = {"str": "x", "int": 7, "bool": True, "float": 1.5, "int | None": None, "datetime": AT}


def _example(kind: type[Event]) -> Event:
    return kind(**{field.name: _EXAMPLES[str(field.type)] for field in fields(kind)})


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_an_event_comes_back_as_it_was_written(kind: type[Event]) -> None:
    event = _example(kind)
    assert from_body(kind.kind, to_body(event)) == event


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_no_event_has_a_place_for_a_patients_name(kind: type[Event]) -> None:
    assert not [field.name for field in fields(kind) if "patient" in field.name or "birth" in field.name]


def test_every_kind_is_named_once() -> None:
    names = [kind.kind for kind in Event.__subclasses__()]
    assert sorted(names) == sorted(set(names))
    assert "" not in names


def test_the_time_is_written_in_utc() -> None:
    event = LoggedIn(at=AT.astimezone(timezone(timedelta(hours=5))), actor="a")
    assert json.loads(to_body(event))["at"] == "2026-01-02T03:04:05.678901+00:00"


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        LoggedIn(at=datetime(2026, 1, 2))


@pytest.mark.parametrize(
    ("kind", "body"),
    [("no.such", "{}"), ("login", "{}"), ("login", "no json"), ("login", '{"at":"2026-01-02","x":1}')],
)
def test_what_is_no_event_is_refused(kind: str, body: str) -> None:
    with pytest.raises(AuditError):
        from_body(kind, body)
