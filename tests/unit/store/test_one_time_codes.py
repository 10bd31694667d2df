"""Codes are those of RFC 6238, and good for three steps."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest

from radiolucent.store.one_time_codes import STEP_S, address, code_at, matching_step, new_secret

SECRET = base64.b32encode(b"12345678901234567890").decode()


# RFC 6238 appendix B, SHA-1, its last six digits
@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037")],
)
def test_the_codes_are_those_of_the_standard(seconds: int, code: str) -> None:
    assert code_at(SECRET, seconds // STEP_S) == code


@pytest.mark.parametrize(("late", "good"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
def test_a_code_is_good_for_one_step_to_each_side(late: int, good: bool) -> None:
    code = code_at(SECRET, 1234567890 // STEP_S)
    assert (matching_step(SECRET, code, datetime.fromtimestamp(1234567890 + late, UTC)) is not None) is good


@pytest.mark.parametrize("code", ["", "abcdef", "287 082", "ü"])
def test_what_is_no_code_matches_nothing(code: str) -> None:
    assert matching_step(SECRET, code, datetime.fromtimestamp(59, UTC)) is None


def test_a_secret_that_is_none_matches_nothing() -> None:
    assert matching_step("not base 32", "287082", datetime.fromtimestamp(59, UTC)) is None


def test_a_new_secret_has_160_bits_and_fits_into_an_address() -> None:
    secret = new_secret()
    assert len(base64.b32decode(secret)) == 20
    assert address(secret, account="a b", site="site") == f"otpauth://totp/site:a%20b?secret={secret}&issuer=site"
