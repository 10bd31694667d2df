"""Results into a folder that others watch: a folder a revision, there as a whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from radiolucent.errors import FinalDelivery, RetriableDelivery
from radiolucent.results.destinations.package import DicomFile, Package, Receipt
from radiolucent.results.destinations.presets import Preset, preset, select

KEY_FILE: Final = "package.sha256"
_PARTIAL: Final = ".partial-"
_FINAL: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EEXIST})


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder, on this machine or a mounted share.

    Each package becomes ``ROOT/STUDY-UID/REVISION-STATUS/`` with ``dicom/``, ``message.hl7``, ``bundle.json`` and
    the package's digest.

    Parameters
    ----------
    root : must exist; a share that isn't mounted is tried again later instead of being filled beneath its mount point.
    """

    name: str
    root: Path
    preset: Preset = field(default_factory=lambda: preset("everything"))

    def deliver(self, package: Package) -> Receipt:
        """Write everything beside its place, flush it, and let it appear in one step.

        Raises
        ------
        RetriableDelivery
            If the folder isn't there or is full.
        FinalDelivery
            If it may not be written to, or holds another result under the same revision.
        """
        chosen = select(package, self.preset)
        target = self.root / package.study_instance_uid / f"{package.revision}-{package.status}"
        receipt = Receipt(
            destination=self.name,
            delivered=tuple(item.sop_instance_uid for item in chosen.objects),
            left_out=chosen.left_out,
        )
        try:
            if not self.root.is_dir():
                raise RetriableDelivery("the folder isn't there: mount or make it", destination=self.name)
            if self._is_there(target, package):
                return receipt
            self._write(package, target, chosen.objects)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and any(not item.path.exists() for item in chosen.objects):
                raise FinalDelivery(
                    "the encoded objects are gone from disk: encode the reading again", destination=self.name
                ) from error
            words = f"the folder can't be written to: {os.strerror(error.errno or 0)}"
            kind = FinalDelivery if error.errno in _FINAL else RetriableDelivery
            raise kind(words, destination=self.name) from error
        return receipt

    def _is_there(self, target: Path, package: Package) -> bool:
        if not target.exists():
            return False
        if (target / KEY_FILE).is_file() and (target / KEY_FILE).read_text(encoding="ascii").strip() == package.key:
            return True
        raise FinalDelivery(
            "another result lies there under the same revision: raise the revision", destination=self.name
        )

    def _write(self, package: Package, target: Path, objects: Sequence[DicomFile]) -> None:
        self._clear()
        partial = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=self.root))
        held = os.open(partial, os.O_RDONLY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (partial / "dicom").mkdir()
            for item in objects:
                place = partial / "dicom" / item.path.name
                if place.exists():  # two folders, one name
                    place = place.with_name(f"{item.sop_instance_uid}.dcm")
                shutil.copyfile(item.path, place)
            if package.oru:
                (partial / "message.hl7").write_bytes(package.oru)
            if package.fhir:
                (partial / "bundle.json").write_text(package.fhir, encoding="utf-8")
            (partial / KEY_FILE).write_text(package.key + "\n", encoding="ascii")
            for path in [*partial.rglob("*"), partial]:
                _flush(path)
            partial.chmod(0o755)
            target.parent.mkdir(exist_ok=True)
            partial.rename(target)
            _flush(target.parent)
            _flush(self.root)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
            os.close(held)

    def _clear(self) -> None:
        """Take away what writers that were killed left half done: nobody holds it any more."""
        for left in self.root.glob(f"{_PARTIAL}*"):
            with suppress(OSError):  # another writer has it in hand, or was faster
                held = os.open(left, os.O_RDONLY)
                try:
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(left)
                finally:
                    os.close(held)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
