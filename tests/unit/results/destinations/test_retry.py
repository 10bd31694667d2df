"""Back-off: seconds to hours, never negative, never longer than its bound; what is final and what may pass."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.errors import DeliveryError, FinalDelivery, RetriableDelivery
from radiolucent.results.destinations.retry import DEFAULT, RetryPolicy, next_step, retry_delay

START = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)


def down(retry_after_s: float | None = None) -> RetriableDelivery:
    return RetriableDelivery("it is down", destination="pacs", retry_after_s=retry_after_s)


@given(st.integers(1, 10_000), st.integers())
def test_a_wait_is_between_half_and_the_whole_of_its_turn(attempt: int, seed: int) -> None:
    turn = min(DEFAULT.longest_s, 5.0 * 2.0 ** (attempt - 1)) if attempt < 60 else DEFAULT.longest_s
    assert turn / 2 <= retry_delay(attempt, Random(seed)) <= turn


def test_a_peer_that_is_down_for_two_days_is_asked_a_bounded_number_of_times_until_it_is_back() -> None:
    now, attempt, waits, back = START, 0, list[float](), START + timedelta(hours=48)
    while now < back:
        attempt += 1
        step = next_step(down(), attempt=attempt, first_tried_at=START, now=now, random=Random(attempt))
        assert step.at is not None
        waits.append((step.at - now).total_seconds())
        now = step.at
    assert waits[0] <= 5
    assert max(waits) > 3600
    assert now < back + timedelta(hours=4)
    assert 20 < attempt < 45


def test_after_its_time_a_delivery_is_a_dead_letter_that_says_why() -> None:
    late = START + timedelta(hours=72)
    step = next_step(down(), attempt=30, first_tried_at=START, now=late, random=Random(0))
    assert step.at is None
    assert "30 attempts" in step.reason
    assert "it is down" in step.reason


def test_what_is_final_is_a_dead_letter_at_once() -> None:
    error = FinalDelivery("refused", destination="ris")
    assert next_step(error, attempt=1, first_tried_at=START, now=START, random=Random(0)).at is None
    with pytest.raises(FinalDelivery, match="ris: refused"):
        raise error


def test_a_delivery_error_that_nobody_sorted_is_tried_again() -> None:
    step = next_step(DeliveryError("odd"), attempt=1, first_tried_at=START, now=START, random=Random(0))
    assert step.at is not None


@pytest.mark.parametrize(("asked", "waited"), [(60.0, 60.0), (1.0, 5.0), (10**9, 14400.0)])
def test_a_peers_own_wish_lengthens_the_wait_up_to_the_bound(asked: float, waited: float) -> None:
    policy = RetryPolicy(jitter=0)
    error = down(retry_after_s=asked)
    step = next_step(error, attempt=1, first_tried_at=START, now=START, random=Random(0), policy=policy)
    assert step.at == START + timedelta(seconds=waited)


def test_a_clock_set_back_takes_no_attempt_away() -> None:
    before = START - timedelta(days=400)
    assert next_step(down(), attempt=3, first_tried_at=START, now=before, random=Random(0)).at is not None


@pytest.mark.parametrize(
    "wrong", [{"first_s": 0}, {"factor": 0.5}, {"jitter": 1}, {"longest_s": 1}, {"give_up_after_s": -1}]
)
def test_a_policy_without_a_sensible_wait_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        RetryPolicy(**wrong)


def test_attempts_count_from_one() -> None:
    with pytest.raises(ValueError, match="count from 1"):
        retry_delay(0, Random(0))
