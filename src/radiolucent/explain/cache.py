"""Where maps that took long are kept: a folder, one file a map, named by the digest of all that it was made from."""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from radiolucent.explain.explanation import Explanation, find_method
from radiolucent.imaging.geometry import PixelRecord


class ExplanationCache:
    """Maps by digest, in a folder that is made when it is needed. File names and contents name no patient.

    Parameters
    ----------
    folder : of the files; may be shared by several processes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, digest: str) -> Explanation | None:
        """The map of this digest, or None where there is none. A file that can't be read counts as none."""
        try:
            with np.load(io.BytesIO(self._path(digest).read_bytes()), allow_pickle=False) as file:
                facts, values = json.loads(str(file["facts"])), np.asarray(file["values"], dtype=np.float32)
            if facts.pop("digest") != digest:
                return None
            record = PixelRecord.from_json(facts.pop("record"))
            method = find_method(facts.pop("method"))
            return Explanation(**facts, method=method, record=record, values=values, digest=digest, from_cache=True)
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            return None

    def put(self, explanations: Sequence[Explanation]) -> None:
        """Keep maps; each file appears whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for one in explanations:
            if one.digest:
                self._write(replace(one, from_cache=False))

    def forget(self, *, before: float, most_bytes: int) -> int:
        """Remove what was made before a moment, then the oldest until the rest is no larger; how many went.

        Parameters
        ----------
        before : seconds since 1970.
        most_bytes : of all files together.
        """
        found = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in self.files())
        size, gone = sum(each for _, each, _ in found), 0
        for made, each, path in found:
            if made >= before and size <= most_bytes:
                break
            path.unlink(missing_ok=True)
            size, gone = size - each, gone + 1
        return gone

    def files(self) -> list[Path]:
        """The files of all maps."""
        return list(self.folder.glob("*.npz"))

    def _write(self, one: Explanation) -> None:
        facts = {
            "finding": one.finding,
            "method": one.method.key,
            "record": one.record.to_json(),
            "frame": one.frame,
            "logit": one.logit,
            "display_scale": one.display_scale,
            "expected_sum": one.expected_sum,
            "passes": one.passes,
            "seconds": one.seconds,
            "seed": one.seed,
            "parameters": dict(one.parameters),
            "engine": one.engine,
            "digest": one.digest,
        }
        handle, name = tempfile.mkstemp(dir=self.folder, prefix=".map-")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez_compressed(file, allow_pickle=False, values=one.values, facts=np.array(json.dumps(facts)))
            Path(name).replace(self._path(one.digest))
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise

    def _path(self, digest: str) -> Path:
        return self.folder / f"{digest}.npz"
