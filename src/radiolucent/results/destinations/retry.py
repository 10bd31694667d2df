"""When a delivery is tried again: back-off from seconds to hours with jitter, bounded, then the dead letter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from radiolucent.errors import DeliveryError, FinalDelivery, RetriableDelivery


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How long and how often.

    Parameters
    ----------
    first_s : wait after the first failure, before jitter, in s.
    factor : by which each wait is longer than the one before.
    longest_s : no wait is longer, in s.
    jitter : in [0, 1): each wait is shortened by a random part of up to this share, so that a peer that comes back
        isn't met by all at once.
    give_up_after_s : from the first attempt, in s; later failures are final.

    Raises
    ------
    ValueError
        If a value would give no wait, a shrinking one, or none at all.
    """

    first_s: float = 5.0
    factor: float = 2.0
    longest_s: float = 4 * 3600.0
    jitter: float = 0.5
    give_up_after_s: float = 72 * 3600.0

    def __post_init__(self) -> None:
        if not 0 < self.first_s <= self.longest_s or self.factor < 1 or not 0 <= self.jitter < 1:
            raise ValueError("a retry policy needs 0 < first_s <= longest_s, factor >= 1 and 0 <= jitter < 1")
        if self.give_up_after_s < 0:
            raise ValueError("give_up_after_s can't be negative")


DEFAULT = RetryPolicy()


@dataclass(frozen=True, kw_only=True)
class NextStep:
    """What to do after a failed attempt.

    Parameters
    ----------
    at : when to try again; None: never, it goes to the dead letters with `reason` until a person queues it again.
    """

    at: datetime | None
    reason: str


def retry_delay(attempt: int, random: Random, policy: RetryPolicy = DEFAULT) -> float:
    """Seconds to wait after the failed attempt number `attempt` (from 1).

    >>> [retry_delay(n, Random(0), RetryPolicy(jitter=0)) for n in (1, 2, 3, 99)]
    [5.0, 10.0, 20.0, 14400.0]

    Raises
    ------
    ValueError
        If attempts don't count from 1.
    """
    if attempt < 1:
        raise ValueError("attempts count from 1")
    # the exponent is bounded, because a float isn't
    wait = min(policy.longest_s, policy.first_s * policy.factor ** min(attempt - 1, 64))
    return wait * (1 - policy.jitter * random.random())


def next_step(
    error: DeliveryError,
    *,
    attempt: int,
    first_tried_at: datetime,
    now: datetime,
    random: Random,
    policy: RetryPolicy = DEFAULT,
) -> NextStep:
    """Try again, or give up: a final error and an exhausted time end in the dead letters, all else is tried again.

    A peer's own wish (HTTP Retry-After) is honoured where it asks for a longer wait, up to `longest_s`. A clock that
    was set back gives more attempts, never fewer.
    """
    if isinstance(error, FinalDelivery):
        return NextStep(at=None, reason=error.reason)
    reason = error.reason if isinstance(error, RetriableDelivery) else str(error)
    if (now - first_tried_at).total_seconds() >= policy.give_up_after_s:
        return NextStep(at=None, reason=f"given up after {attempt} attempts: {reason}")
    wait = retry_delay(attempt, random, policy)
    if isinstance(error, RetriableDelivery) and error.retry_after_s:
        wait = max(wait, min(error.retry_after_s, policy.longest_s))
    return NextStep(at=now + timedelta(seconds=wait), reason=reason)
