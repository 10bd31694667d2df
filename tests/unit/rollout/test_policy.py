"""Every combination of role × route × phase × training × profile, against the rules as sentences."""

from __future__ import annotations

from itertools import product

import pytest

from radiolucent.rollout.policy import ROLES, ROUTES, RULES, STATES, USES, decide, state_of

EVERY = list(product(ROUTES, ROLES, STATES, (False, True), USES))
LADDER = ("viewer", "resident", "radiologist", "lead", "admin")
AI = ("urgency", "text", "heat", "decide", "modify", "acknowledge")

# Who may use a route at its most permissive: V viewer, R resident, D radiologist, L lead, A admin, U auditor,
# T validator, S sender. Written down apart from the table, letter by letter.
WHO = {
    "image": "VRDLAT", "worklist": "VRDLAT", "urgency": "VRDLAT", "text": "VRDLAT", "heat": "VRDLAT",
    "looked": "VRDLAT", "comment": "RDLAT", "decide": "DLAT", "modify": "DLAT", "set-urgency": "DLA",
    "claim": "RDLA", "finish": "DLA", "upload": "RDLAT", "training": "VRDLAT", "grant-training": "A",
    "monitoring": "LAU", "rollout": "LAUT", "sign-phase": "LA", "stop-ai": "DLA", "audit": "AU", "admin": "A",
    "account": "VRDLAUTS", "send": "S", "acknowledge": "DLA",
    "report": "RDLA", "sign-report": "DLA",
}  # fmt: skip
LETTER: dict[str, str] = dict(zip(ROLES, "VRDLAUTS", strict=True))


def _expected(route: str, role: str, state: str, trained: bool, use: str) -> tuple[bool, str]:
    """The same policy as a chain of questions."""
    if LETTER[role] not in WHO[route]:
        return False, "role"
    if route in AI and state == "stopped":
        return False, "phase"
    if route in AI and state == "shadow" and role != "validator":
        return False, "phase"
    if route == "heat" and state == "text-and-urgency" and role != "validator":
        return False, "phase"
    if route == "heat" and use != "localise":
        return False, "profile"
    if route == "heat" and not trained:
        return False, "training_required"
    return True, ""


def test_the_matrix_is_as_large_as_it_says() -> None:
    assert len(EVERY) == len(ROUTES) * 8 * 5 * 2 * 3


@pytest.mark.parametrize("route", ROUTES)
def test_every_combination_is_decided_as_the_sentences_say(route: str) -> None:
    wrong = []
    for _, role, state, trained, use in (row for row in EVERY if row[0] == route):
        verdict = decide(route=route, role=role, state=state, trained=trained, use=use)
        if (verdict.allowed, verdict.code) != _expected(route, role, state, trained, use):
            wrong.append((role, state, trained, use, verdict))
    assert wrong == []


@pytest.mark.parametrize("unknown", ["route", "role", "state", "use"])
def test_what_the_table_does_not_know_is_withheld(unknown: str) -> None:
    for route, role, state, trained, use in EVERY:
        values = {"route": route, "role": role, "state": state, "use": use} | {unknown: "something else"}
        assert not decide(trained=trained, **values).allowed


def test_no_heatmap_is_ever_shown_to_the_untrained() -> None:
    assert not any(decide(route="heat", role=o, state=s, trained=False, use=u).allowed for _, o, s, _, u in EVERY)


def test_once_stopped_nobody_sees_anything_of_the_ai() -> None:
    stopped = [row for row in EVERY if row[0] in AI and row[2] == "stopped"]
    assert not any(decide(route=r, role=o, state=s, trained=t, use=u).allowed for r, o, s, t, u in stopped)


def test_in_shadow_only_the_validation_role_sees_anything_of_the_ai() -> None:
    seen = {
        role
        for route, role, state, trained, use in EVERY
        if route in AI
        and state == "shadow"
        and decide(route=route, role=role, state=state, trained=trained, use=use).allowed
    }
    assert seen == {"validator"}


def test_images_can_be_read_in_every_phase_and_when_the_ai_is_stopped() -> None:
    for role in (*LADDER, "validator"):
        assert all(decide(route="image", role=role, state=s, trained=False, use="notify").allowed for s in STATES)


def test_a_higher_role_may_do_all_that_a_lower_one_may() -> None:
    for route, role, state, trained, use in EVERY:
        if role in LADDER[:-1] and decide(route=route, role=role, state=state, trained=trained, use=use).allowed:
            above = LADDER[LADDER.index(role) + 1]
            assert decide(route=route, role=above, state=state, trained=trained, use=use).allowed


def test_training_takes_nothing_away() -> None:
    for route, role, state, trained, use in EVERY:
        if not trained and decide(route=route, role=role, state=state, trained=False, use=use).allowed:
            assert decide(route=route, role=role, state=state, trained=True, use=use).allowed


def test_the_auditor_makes_no_clinical_decision_and_sees_no_patient() -> None:
    for route in ("image", "worklist", "text", "heat", "decide", "modify", "comment", "set-urgency", "upload"):
        assert decide(route=route, role="auditor", state="routine", trained=True, use="localise").code == "role"


def test_a_resident_comments_and_modifies_nothing() -> None:
    allowed = {
        r for r in ROUTES if decide(route=r, role="resident", state="routine", trained=True, use="localise").allowed
    }
    assert "comment" in allowed
    assert not allowed & {"decide", "modify", "set-urgency", "acknowledge", "stop-ai", "sign-report"}


def test_every_route_has_a_rule_and_no_rule_repeats_another() -> None:
    assert {rule.route for rule in RULES} == set(ROUTES)
    assert len(set(RULES)) == len(RULES)


def test_a_stop_outweighs_every_phase() -> None:
    assert state_of("routine", stopped=True) == "stopped"
    assert state_of("heatmaps", stopped=False) == "heatmaps"
