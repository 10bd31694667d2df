"""GDCM in a process of its own: a damaged stream that makes it abort ends that process and not the reading one.

One worker, started when it is first needed and again after it died, reads requests on its standard input.
"""

from __future__ import annotations

import atexit
import pickle
import subprocess
import sys
import threading
import warnings
from collections.abc import Mapping
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

LONGEST_S = 60.0
"""A frame that takes longer is given up: the largest one decodes in a few seconds."""
_LEFT_OUT = ("extended_offsets", "number_of_frames")


class _Worker:
    """The process, and the lock that lets one request at a time reach it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def ask(self, request: tuple[bytes, str, dict[str, Any]]) -> Any:
        with self._lock:
            process = self._process = self._process or _start()
            assert process.stdin is not None
            assert process.stdout is not None
            clock = threading.Timer(LONGEST_S, process.kill)
            clock.start()
            try:
                pickle.dump(request, process.stdin)
                process.stdin.flush()
                return pickle.load(process.stdout)
            except (EOFError, OSError, pickle.UnpicklingError) as error:
                self._end()
                raise ValueError("the decoder broke off on this stream") from error
            finally:
                clock.cancel()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue  # what was still to be written has no reader any more
        process.wait()

    def close(self) -> None:
        with self._lock:
            self._end()


def decode_frame(encoded: bytes, syntax: UID, options: Mapping[str, Any]) -> NDArray[Any]:
    """Decode one compressed frame with GDCM.

    Parameters
    ----------
    encoded : the frame's bitstream.
    options : pixel options as pydicom's decoders take them, of the whole instance.

    Returns
    -------
    ``(rows, columns)`` or ``(rows, columns, 3)``, as pydicom's decoder gives it.

    Raises
    ------
    ValueError
        If GDCM refuses the stream, aborts or takes longer than `LONGEST_S`.
    """
    plain = {name: value for name, value in options.items() if name not in _LEFT_OUT}
    answer = _WORKER.ask((encoded, str(syntax), plain))
    if isinstance(answer, str):
        raise ValueError(answer)
    return np.asarray(answer)


def _start() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "radiolucent.imaging.isolated"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the input ends: an array, or what went wrong as text."""
    while True:
        try:
            encoded, syntax, options = pickle.load(requests)
        except EOFError:
            return
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                options["number_of_frames"] = 1
                stream = BytesIO(encapsulate([encoded]))
                array, _ = get_decoder(UID(syntax)).as_array(stream, index=0, decoding_plugin="gdcm", **options)
            answer: Any = np.asarray(array)
        except Exception as error:  # noqa: BLE001  GDCM's and pydicom's errors share no base; the text is the answer
            answer = str(error).splitlines()[-1][:120] if str(error) else type(error).__name__
        pickle.dump(answer, answers)
        answers.flush()


_WORKER = _Worker()
atexit.register(_WORKER.close)

if __name__ == "__main__":
    _serve(sys.stdin.buffer, sys.stdout.buffer)
