"""Who comes first in a queue: by class and time, so that urgent work overtakes and nothing waits for ever."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

STAT, LIVE, BACKFILL = "stat", "live", "backfill"
LEAST_URGENT: Final = 2
"""Urgency levels 1 and 2 go first, as they alert."""
_EPOCH: Final = datetime.fromisoformat("2025-01-01T00:00:00+00:00")
GRACE_S: Final[Mapping[str, int]] = MappingProxyType({STAT: 0, LIVE: 2 * 3600, BACKFILL: 48 * 3600})
"""Work is as urgent as that of the class above which comes so much later: the ageing bound of each class."""
OBJECTS_AFTER_S: Final = 2
"""Messages (ORU, FHIR, the flag in a list) go before the objects of the same reading."""
_SAME_SECOND: Final = 1


def queue_priority(priority: str, at: datetime) -> int:
    """Place in the queue, 1 is first: by time, plus what its class yields to the more urgent ones.

    >>> from datetime import timedelta
    >>> early, late = _EPOCH + timedelta(hours=1), _EPOCH + timedelta(hours=2)
    >>> queue_priority("stat", late) < queue_priority("live", early)
    True
    >>> queue_priority("live", _EPOCH) < queue_priority("stat", _EPOCH + timedelta(hours=3))
    True
    """
    seconds = int((at - _EPOCH).total_seconds())
    return max(1, seconds + GRACE_S.get(priority, GRACE_S[LIVE]) + _SAME_SECOND)


def delivery_class(priority: str, urgency: int | None) -> str:
    """Class of a result on its way out: what is urgent, or was ordered so, overtakes.

    >>> delivery_class("backfill", 1), delivery_class("stat", None), delivery_class("backfill", 4)
    ('stat', 'stat', 'backfill')
    """
    urgent = urgency is not None and urgency <= LEAST_URGENT
    return STAT if urgent else priority


def delivery_priority(priority: str, urgency: int | None, at: datetime, *, message: bool) -> int:
    """Place in the queue of deliveries.

    Parameters
    ----------
    priority : of the study's reading: ``stat``, ``live`` or ``backfill``.
    urgency : level of the reading, 1 is most urgent; None where nothing was found.
    at : since when it is owed.
    message : whether the destination takes a message, which goes before the objects.
    """
    return queue_priority(delivery_class(priority, urgency), at) + (0 if message else OBJECTS_AFTER_S)
