"""What every event has: when, who, from where, about which study."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal

Action = Literal["C", "R", "U", "D", "E"]
"""Create, read, update, delete, execute: AuditEvent.action of FHIR."""
SYSTEM = "system"


@dataclass(frozen=True, kw_only=True)
class Event:
    """What every event has.

    Parameters
    ----------
    at : when; has a time zone.
    actor : account name, or ``system`` for what the program does by itself.
    role : of the actor at that time.
    address : of the peer, as the server saw it.
    study_instance_uid : of the study that it is about, or empty.
    """

    kind: ClassVar[str] = ""
    action: ClassVar[Action] = "E"

    at: datetime
    actor: str = SYSTEM
    role: str = ""
    address: str = ""
    study_instance_uid: str = ""

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("an event needs a time with its zone: use datetime.now(UTC)")
