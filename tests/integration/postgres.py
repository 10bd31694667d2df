"""A throw-away PostgreSQL: a cluster of its own, on loopback and a Unix socket, as an account without rights."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PLACES = ("/usr/lib/postgresql", "/usr/local/pgsql")
_FAST = "-c fsync=off -c full_page_writes=off -c shared_buffers=32MB -c max_connections=200"
"""For a cluster that is thrown away: what it commits outlives its processes, but not the machine."""


class PostgresMissing(Exception):
    """The server's programs aren't installed, or nobody is there to run them as."""


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """A running cluster."""

    programs: Path
    home: Path
    port: int
    account: tuple[str, ...]

    def database(self, name: str) -> str:
        """The address of a new, empty database."""
        self._run("createdb", "-h", str(self.home), "-p", str(self.port), "-U", "radiolucent", name)
        return f"postgresql://radiolucent@127.0.0.1:{self.port}/{name}"

    def drop(self, name: str) -> None:
        """Remove a database, whoever is connected to it."""
        self._run("dropdb", "--force", "-h", str(self.home), "-p", str(self.port), "-U", "radiolucent", name)

    def stop(self) -> None:
        """As a crash does: its connections end at once."""
        self._run("pg_ctl", "-D", str(self.home / "data"), "-m", "immediate", "-w", "stop")

    def start(self) -> None:
        """Start it, also again after `stop`, on the same port."""
        options = f"-c listen_addresses=127.0.0.1 -c unix_socket_directories={self.home} -p {self.port} {_FAST}"
        self._run("pg_ctl", "-D", str(self.home / "data"), "-l", str(self.home / "log"), "-w", "-o", options, "start")

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self.account, str(self.programs / program), *arguments]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=120, cwd="/"
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr.decode(errors='replace')[-500:]}")


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run one for as long as the block lasts; its files are removed.

    Raises
    ------
    PostgresMissing
        If it isn't installed; or if this is root (whom it refuses) and there is no account to take.
    """
    programs = _programs()
    account, owner = _unprivileged()
    home = Path(tempfile.mkdtemp(prefix="radiolucent-pg-", dir="/tmp"))  # a socket's path is short
    try:
        if owner is not None:
            os.chown(home, *owner)
        cluster = Postgres(programs=programs, home=home, port=_free_port(), account=account)
        cluster._run("initdb", "-D", str(home / "data"), "-U", "radiolucent", "-A", "trust", "-E", "UTF8", "--no-sync")
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _programs() -> Path:
    found = sorted(
        (path.parent for place in _PLACES for path in Path(place).glob("**/bin/initdb")),
        key=lambda path: [int(part) for part in path.parts if part.isdigit()],
    )
    if not found:
        raise PostgresMissing("initdb")
    return found[-1]


def _unprivileged() -> tuple[tuple[str, ...], tuple[int, int] | None]:
    if os.geteuid() != 0:
        return (), None
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        if shutil.which("setpriv"):
            command = ("setpriv", f"--reuid={found.pw_uid}", f"--regid={found.pw_gid}", "--clear-groups")
            return command, (found.pw_uid, found.pw_gid)
    raise PostgresMissing("an account other than root, and setpriv")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
