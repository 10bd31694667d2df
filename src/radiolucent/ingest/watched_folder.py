"""A folder that others copy DICOM files into: each is taken once it has stopped growing, and removed once it is safe.

What is refused moves to ``refused`` inside the folder, beside a text file with the reason; nothing is dropped.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from radiolucent.errors import OutOfSpace, SetupError, UnreadableFile
from radiolucent.ingest.receiving import ANSWERS, Outcome, Receiver, Way, identify
from radiolucent.ingest.spool import Spool

LOG: Final = logging.getLogger(__name__)
REFUSED: Final = "refused"
_TRY_AGAIN: Final = (Outcome.OUT_OF_SPACE, Outcome.FAILED)


@dataclass(eq=False, kw_only=True)
class FolderWatcher:
    """Takes the files of one folder and its subfolders; hidden files, links and ``refused`` are left alone.

    Parameters
    ----------
    settle_s : a file that kept size and time for so long is complete.
    clock : monotonic seconds.
    """

    folder: Path
    receiver: Receiver
    spool: Spool
    settle_s: float = 5.0
    clock: Callable[[], float] = time.monotonic
    _seen: dict[Path, tuple[tuple[int, int, int], float]] = field(default_factory=dict, init=False)

    def sweep(self) -> Counter[Outcome]:
        """Look once, take every file that has settled, and count what became of them.

        All files of one sweep are one association for the receiver. A file for which there is no room now stays.

        Raises
        ------
        SetupError
            If the folder isn't there.
        """
        if not self.folder.is_dir():
            raise SetupError(f"the watched folder {self.folder} isn't there")
        outcomes: Counter[Outcome] = Counter()
        association_id = uuid.uuid4().hex
        for path in self._settled():
            outcome, reason = self._take(path, association_id)
            outcomes[outcome] += 1
            if ANSWERS[outcome].accepted:
                path.unlink(missing_ok=True)
            elif outcome not in _TRY_AGAIN:
                self._put_aside(path, reason or ANSWERS[outcome].comment)
            if outcome is Outcome.OUT_OF_SPACE:
                break  # the others would fail as well
        if outcomes:
            self.receiver.association_ended(association_id, aborted=False)
        return outcomes

    def _settled(self) -> Iterator[Path]:
        now, seen = self.clock(), {}
        for path in self._files():
            try:
                status = path.stat()
            except OSError:
                continue  # it has gone since it was listed
            state = (status.st_ino, status.st_size, status.st_mtime_ns)
            before = self._seen.get(path)
            since = before[1] if before is not None and before[0] == state else now
            seen[path] = (state, since)
        self._seen = seen
        yield from sorted(path for path, (_, since) in seen.items() if now - since >= self.settle_s)

    def _files(self) -> Iterator[Path]:
        for place, folders, names in os.walk(self.folder):
            here = Path(place)
            folders[:] = [name for name in folders if not name.startswith(".") and here / name != self.folder / REFUSED]
            for name in names:
                path = here / name
                if not name.startswith(".") and path.is_file() and not path.is_symlink():
                    yield path

    def _take(self, path: Path, association_id: str) -> tuple[Outcome, str]:
        try:
            with self.spool.begin() as file, path.open("rb") as source:
                while chunk := source.read(2**20):
                    file.write(chunk)
                instance = identify(file.close(), way=Way.WATCHED_FOLDER, association_id=association_id)
                return self.receiver.receive(instance), ""
        except UnreadableFile as error:
            return Outcome.NOT_UNDERSTOOD, f"{error.tag + ': ' if error.tag else ''}{error.reason}"
        except OutOfSpace:
            return Outcome.OUT_OF_SPACE, ""
        except Exception as error:  # noqa: BLE001 - one file that fails must not end the others; it is tried again
            LOG.error("a file of the watched folder was not kept: %s", type(error).__name__)
            return Outcome.FAILED, ""

    def _put_aside(self, path: Path, reason: str) -> None:
        aside = self.folder / REFUSED / f"{uuid.uuid4().hex[:8]}-{path.name}"
        aside.parent.mkdir(exist_ok=True)
        shutil.move(path, aside)
        aside.with_name(f"{aside.name}.reason.txt").write_text(f"{reason}\n", encoding="utf-8")
        LOG.warning("a file of the watched folder was refused: %s", reason)
