"""The JSON routes against their own OpenAPI document: no fault of the server, every answer of the form that is told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from radiolucent.store.people import People
from radiolucent.web.interface import ANSWERS, document

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis: make test")
EXAMPLES = 6


def _document(room: Any) -> dict[str, Any]:
    return document(room.app)


def test_the_document_is_for_those_with_an_account(room: Any) -> None:
    assert room.browser().get("/api/v1/openapi.json").status_code == 401
    told = room.browser("viewer").get("/api/v1/openapi.json").json()
    assert told["openapi"].startswith("3.1")
    assert set(ANSWERS) <= set(told["paths"])


def test_no_page_and_no_form_is_in_the_document(room: Any) -> None:
    assert not [
        path for path in _document(room)["paths"] if not path.startswith(("/api/v1/", "/me", "/healthz", "/readyz"))
    ]


def test_a_refusal_has_a_code_and_a_reason(room: Any, study: str) -> None:
    room.set("ai_stopped", "by a test")
    for address in ("/api/v1/results/1.2:1", f"/api/v1/results/{study}:1/heat/glioma", "/api/v1/worklist?limit=x"):
        answer = room.browser("viewer").get(address)
        assert answer.status_code >= 400
        assert set(answer.json()) == {"code", "reason"}, address


def test_every_answer_to_what_was_made_up_is_of_the_form_that_is_told(room: Any, study: str) -> None:
    with room.store.begin() as work:
        secret = People(work).make_token("radiologist", label="a test", role="radiologist", now=room.clock())
    from schemathesis.specs.openapi.checks import negative_data_rejection

    schema = schemathesis.openapi.from_asgi(
        "/api/v1/openapi.json", room.app, headers={"Authorization": f"Bearer {secret}"}
    )
    known = {"rid": f"{study}:1", "finding": "glioma"}
    wrong: list[str] = []
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=EXAMPLES,
            database=None,
            derandomize=True,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            nonlocal tried
            for use in (False, True):
                if use:
                    case.path_parameters = {**(case.path_parameters or {}), **known}
                answer = case.call(headers={"Authorization": f"Bearer {secret}"})
                tried += 1
                # with a study that is there in place of what was made up, a case that was made to be refused needn't be
                left_out = [negative_data_rejection] if use else []
                try:
                    case.validate_response(answer, excluded_checks=left_out)
                except (schemathesis.core.failures.Failure, schemathesis.core.failures.FailureGroup) as failure:
                    wrong.append(f"{case.method} {case.path} {answer.status_code}: {failure}"[:600])

        ask()
    assert tried > 50
    assert not wrong, "\n".join(sorted(set(wrong)))
