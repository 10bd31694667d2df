"""Asking over a DICOM association without losing the answer to pynetdicom's own reader."""

from __future__ import annotations

import threading
from typing import Any, Final

_LONGEST_WAIT_S: Final = 1.0


class Checkpoint:
    """Where the reader of an association rests while somebody else waits for an answer; stands in for an `Event`.

    pynetdicom 3.0 clears it, waits until the reader says that it rests, and sends. But the reader says so before it
    looks at the checkpoint, and one that was let go from it may not have moved when the next message goes out: it can
    take the answer itself and throw it away, and the peer seems to be silent until the timeout. Here `clear` comes back
    once the reader rests, and from then on it doesn't pass before `set`.
    """

    def __init__(self) -> None:
        self._open, self._rests, self._changed = True, False, threading.Condition()

    def is_set(self) -> bool:
        """True while it is open."""
        return self._open

    def set(self) -> None:
        """Open it."""
        with self._changed:
            self._open = True
            self._changed.notify_all()

    def clear(self) -> None:
        """Close it, and wait for the reader; a second at most, since it may be busy or gone."""
        with self._changed:
            self._open = False
            self._changed.wait_for(lambda: self._rests or self._open, _LONGEST_WAIT_S)

    def wait(self, timeout: float | None = None) -> bool:
        """Rest while it is closed; False where it still is after `timeout` seconds."""
        with self._changed:
            if not self._open:
                self._rests = True
                self._changed.notify_all()
                self._changed.wait_for(self.is_set, timeout)
                self._rests = False
            return self._open


def keep_answers(association: Any) -> None:
    """Give an association that was just established a `Checkpoint`."""
    association._reactor_checkpoint = Checkpoint()
