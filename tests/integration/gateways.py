"""A gateway as its own process group: started as a site starts it, watched through its rows, killed at will."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psycopg
from pydicom import dcmread

START_WITHIN_S = 240.0
DONE_WITHIN_S = 240.0
AE_TITLE = "RADIOLUCENT"


@dataclass
class RunningGateway:
    """`radiolucent serve` on a free port, with a folder as its one destination.

    `program` is what it runs before the command: another release is the same program with a line before it.
    `modules` is a folder that all its processes import from first.
    """

    home: Path
    quiet_s: float = 1.0
    extra: str = ""
    work: str = ""
    dead_after_s: float = 20.0
    watermark_mib: int = 1
    database: str = ""
    program: str = ""
    modules: Path | None = None
    process: subprocess.Popen[bytes] | None = None
    port: int = 0
    starts: int = field(default=0)

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def settings(self) -> Path:
        return self.home / "settings.toml"

    @property
    def out(self) -> Path:
        return self.home / "out"

    def start(self) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        self.settings.write_text(
            f'data_folder = "{self.data}"\ndatabase_url = "{self.database}"\n'
            f"[listener]\nport = 0\n[archive]\nwatermark_mib = {self.watermark_mib}\n[web]\nenabled = false\n"
            f"[assembly]\nquiet_s = {self.quiet_s}\npartial_quiet_s = 60\n"
            f"[work]\ndead_after_s = {self.dead_after_s}\n{self.work}"
            f'[[destinations]]\nname = "out"\nkind = "folder"\nfolder = "{self.out}"\n'
            f"first_retry_s = 0.5\n{self.extra}",
            encoding="utf-8",
        )
        self.starts += 1
        said = self.home / f"said-{self.starts}"
        with said.open("wb") as stdout, (self.home / "log").open("ab") as stderr:
            self.process = self._run("serve", stdout=stdout, stderr=stderr)
        wait_for(lambda: "engines:" in said.read_text() or self._ended(), START_WITHIN_S, "the gateway to start")
        first = said.read_text().splitlines()[0]
        self.port = int(first.rpartition(":")[2])

    def worker(self, name: str) -> subprocess.Popen[bytes]:
        """Start a worker that isn't the gateway's child, and wait until it works."""
        with (self.home / "log").open("ab") as log:
            process = self._run("work", "--name", name, stdout=log, stderr=log)
        told = f"worker {name} is ready"
        begun = (self.home / "log").read_text().count(told)

        def is_ready() -> bool:
            assert process.poll() is None, (self.home / "log").read_text()[-2000:]
            return (self.home / "log").read_text().count(told) > begun

        wait_for(is_ready, START_WITHIN_S, told)
        return process

    def _run(self, *arguments: str, stdout: IO[bytes], stderr: IO[bytes]) -> subprocess.Popen[bytes]:
        command = f"{self.program}\nfrom radiolucent.cli.main import main; main()"
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        if self.modules:
            environment["PYTHONPATH"] = os.pathsep.join([str(self.modules), *sys.path])
        return subprocess.Popen(
            [sys.executable, "-c", command, *arguments, "-s", str(self.settings)],
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            env=environment,
        )

    def command(self, *arguments: str) -> None:
        """Run another command of the program beside it, to its end."""
        with (self.home / "log").open("ab") as log:
            assert self._run(*arguments, stdout=log, stderr=log).wait(120) == 0, (self.home / "log").read_text()[-2000:]

    def kill(self) -> None:
        """SIGKILL to the whole group: no handler runs anywhere."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(120)

    def rows(self, query: str, *arguments: object) -> list[tuple[object, ...]]:
        """What the database says, read beside the gateway."""
        if self.database:
            with psycopg.connect(self.database) as there:
                return there.execute(query.replace("?", "%s").encode(), arguments).fetchall()
        place = self.data / "radiolucent.sqlite"
        if not place.exists():
            return []
        connection = sqlite3.connect(f"file:{place}?mode=ro", uri=True, timeout=30)
        try:
            return connection.execute(query, arguments).fetchall()
        finally:
            connection.close()

    def send(self, files: Sequence[Path]) -> subprocess.Popen[bytes]:
        """DCMTK's storescu, in the background."""
        program = shutil.which("storescu")
        assert program is not None
        command = [program, "-R", "-aec", AE_TITLE, "127.0.0.1", str(self.port), *map(str, files)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def delivered(self, study: str) -> dict[str, int]:
        """SOP Instance UID → how many files of it lie in the destination."""
        counts: dict[str, int] = {}
        for path in self.out.rglob("*.dcm"):
            header = dcmread(path, stop_before_pixels=True)
            if header.StudyInstanceUID == study:
                counts[str(header.SOPInstanceUID)] = counts.get(str(header.SOPInstanceUID), 0) + 1
        return counts

    def made(self, study: str) -> dict[int, set[str]]:
        """Revision → SOP Instance UIDs of its result objects."""
        found: dict[int, set[str]] = {}
        for path in (self.data / "readings" / study).glob("*/dicom/**/*.dcm"):
            number = path.relative_to(self.data / "readings" / study).parts[0]
            if not number.startswith("."):
                found.setdefault(int(number), set()).add(str(dcmread(path, stop_before_pixels=True).SOPInstanceUID))
        return found

    def is_done(self, study: str) -> bool:
        """Study, instances and deliveries are all at their end."""
        state = self.rows("select state from studies where study_instance_uid = ?", study)
        owed = self.rows("select state from deliveries where study_instance_uid = ?", study)
        ended = bool(state) and state[0][0] in ("read", "partly-read", "not-read", "failed")
        return ended and bool(owed) and all(one[0] in ("delivered", "cancelled") for one in owed)

    def _ended(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the gateway ended:\n{(self.home / 'log').read_text()[-2000:]}")
        return False


def wait_for(met: Callable[[], bool], within_s: float, what: str, *, every_s: float = 0.1) -> None:
    """Poll until it is so."""
    deadline = time.monotonic() + within_s
    while not met():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {within_s:.0f} s in vain for {what}")
        time.sleep(every_s)
