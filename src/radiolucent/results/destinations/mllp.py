"""HL7 v2 messages over MLLP: framing, TLS where wanted, and what AA, AE and AR mean for the next attempt."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from radiolucent.errors import FinalDelivery, RetriableDelivery
from radiolucent.results.destinations.package import Package, Receipt

START: Final = b"\x0b"
END: Final = b"\x1c\r"
LONGEST_REPLY: Final = 1 << 20
_ERRORS: Final[Mapping[str, tuple[bool, str]]] = MappingProxyType(
    {  # HL7 table 0357 → whether the same message may be taken later, and its words
        "100": (False, "segment sequence error"),
        "101": (False, "required field missing"),
        "102": (False, "data type error"),
        "103": (False, "table value not found"),
        "200": (False, "unsupported message type"),
        "201": (False, "unsupported event code"),
        "202": (False, "unsupported processing ID"),
        "203": (False, "unsupported version ID"),
        "204": (False, "unknown key identifier: patient or order isn't known there"),
        "205": (False, "duplicate key identifier"),
        "206": (True, "application record locked"),
        "207": (True, "application internal error"),
    }
)


@dataclass(frozen=True, kw_only=True)
class Mllp:
    """A RIS or an interface engine that takes messages over MLLP.

    Parameters
    ----------
    timeout_s : for connecting and for the whole acknowledgement, in s.
    tls : context that checks the server's certificate, or None for a plain connection.
    """

    name: str
    host: str
    port: int
    timeout_s: float = 30.0
    tls: ssl.SSLContext | None = None

    def deliver(self, package: Package) -> Receipt:
        """Send the package's message and wait for its acknowledgement.

        Raises
        ------
        RetriableDelivery
            If the receiver is away, busy, silent, breaks off, answers garbage or another message, or rejects for
            reasons that may pass (AR).
        FinalDelivery
            If it refuses the message itself (AE), or its certificate isn't trusted.
        """
        if not package.oru:
            return Receipt(destination=self.name)
        return self.send(package.oru)

    def send(self, message: bytes) -> Receipt:
        """The same for any message.

        Raises
        ------
        RetriableDelivery, FinalDelivery
            As `deliver`.
        """
        control_id = _control_id(message)
        deadline = time.monotonic() + self.timeout_s
        try:
            with self._connected() as connection:
                connection.sendall(START + message + END)
                reply = self._reply(connection, deadline)
        except ssl.SSLCertVerificationError as error:
            raise FinalDelivery(
                "its certificate isn't trusted: set the right authority or host name", destination=self.name
            ) from error
        except TimeoutError as error:
            raise self._later("it doesn't answer in time") from error
        except OSError as error:
            raise self._later(f"no connection, or it broke off ({type(error).__name__})") from error
        self._judge(reply, control_id)
        return Receipt(destination=self.name, delivered=(control_id,))

    def _connected(self) -> socket.socket:
        plain = socket.create_connection((self.host, self.port), timeout=self.timeout_s)
        if self.tls is None:
            return plain
        try:
            return self.tls.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise

    def _reply(self, connection: socket.socket, deadline: float) -> bytes:
        """Everything between start and end block; what stands before the start is skipped."""
        received = b""
        while (end := received.find(END)) < 0:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            connection.settimeout(left)
            part = connection.recv(65536)
            if not part:
                raise self._later("it closed the connection before its acknowledgement was complete")
            received += part
            if len(received) > LONGEST_REPLY:
                raise self._later("its acknowledgement has no end")
        start = received.rfind(START, 0, end)
        if start < 0:
            raise self._later("its answer isn't framed as MLLP")
        return received[start + 1 : end]

    def _judge(self, reply: bytes, control_id: str) -> None:
        segments = [line.split("|") for line in reply.decode("latin-1").split("\r") if line]
        found = {segment[0]: segment for segment in reversed(segments)}
        answer = found.get("MSA", [])
        if "MSH" not in found or len(answer) < 3:
            raise self._later("its answer is no acknowledgement")
        code, about = answer[1].strip().upper(), answer[2].strip()
        if about != control_id:
            raise self._later("it acknowledged another message")
        if code in ("AA", "CA"):
            return
        known, words = _error(found.get("ERR", []))
        if code in ("AR", "CR"):
            later, said = (known if known is not None else True), "rejected"
        elif code in ("AE", "CE"):
            later, said = (known if known is not None else False), "refused the message"
        else:
            raise self._later("its acknowledgement has an unknown code")
        if later:
            raise self._later(f"{said} for now ({code}{words})")
        raise FinalDelivery(
            f"{said} ({code}{words}): see its log, correct the mapping and queue again", destination=self.name
        )

    def _later(self, reason: str) -> RetriableDelivery:
        return RetriableDelivery(reason, destination=self.name)


def _error(segment: list[str]) -> tuple[bool | None, str]:
    """Whether a code of ERR-3 (table 0357) may pass, None where there is none; free text is left out, it may name."""
    code = segment[3].split("^")[0].strip() if len(segment) > 3 else ""
    if code in _ERRORS:
        later, words = _ERRORS[code]
        return later, f", {words}"
    return None, f", code {code}" if re.fullmatch(r"[A-Za-z0-9]{1,8}", code) else ""


def _control_id(message: bytes) -> str:
    """MSH-10 (the field separator counts as MSH-1)."""
    return message.split(b"\r", 1)[0].split(b"|")[9].decode("latin-1")
