"""Asking over a DICOM association without losing the answer to pynetdicom's own reader."""

from __future__ import annotations

import threading
from typing import Any, Final

_LONGEST_WAIT_S: Final = 1.0


class Checkpoint(threading.Event):
    """Where the reader of an association rests while somebody else waits for an answer.

    pynetdicom 3.0 clears it, waits until the reader says that it rests, and sends. But the reader says so before it
    looks at the checkpoint: where it is held up right behind it, it can take the answer itself and throw it away, and
    the peer seems to be silent until the timeout. Here `clear` comes back once the reader rests.
    """

    def __init__(self) -> None:
        super().__init__()
        self._rests = threading.Event()

    def clear(self) -> None:
        """Close, and wait for the reader; a second at most, since it may be busy or gone."""
        super().clear()
        self._rests.wait(_LONGEST_WAIT_S)

    def wait(self, timeout: float | None = None) -> bool:
        """Rest while it is closed."""
        if self.is_set():
            return True
        self._rests.set()
        try:
            return super().wait(timeout)
        finally:
            self._rests.clear()


def keep_answers(association: Any) -> None:
    """Give an association that was just established a `Checkpoint`, open."""
    checkpoint = Checkpoint()
    checkpoint.set()
    association._reactor_checkpoint = checkpoint
