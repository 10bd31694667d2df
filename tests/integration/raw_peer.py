"""A sender that writes its own PDUs, so that tests can break off, lie and stall wherever they like."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field
from typing import Self

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.dsutils import encode

CT = "1.2.840.10008.5.1.4.1.1.2"
TIMEOUT_S = 20.0


def pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxL", kind, len(body)) + body


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def associate_request(*, called: str = "RADIOLUCENT", calling: str = "RAW", abstract: str = CT) -> bytes:
    context = item(0x30, abstract.encode()) + item(0x40, str(ExplicitVRLittleEndian).encode())
    user = item(0x51, struct.pack(">L", 16384)) + item(0x52, b"1.2.3")
    body = struct.pack(">HH", 1, 0) + called.ljust(16).encode() + calling.ljust(16).encode() + bytes(32)
    body += item(0x10, b"1.2.840.10008.3.1.1.1") + item(0x20, bytes((1, 0, 0, 0)) + context) + item(0x50, user)
    return pdu(1, body)


def data_value(data: bytes, *, command: bool, last: bool = True, context: int = 1) -> bytes:
    return pdu(4, struct.pack(">LBB", len(data) + 2, context, command + 2 * last) + data)


def store_command(dataset: Dataset, message: int = 1) -> bytes:
    command = Dataset()
    command.AffectedSOPClassUID, command.AffectedSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    command.CommandField, command.MessageID, command.Priority, command.CommandDataSetType = 1, message, 2, 1
    return encode(command, True, True) or b""


def encoded(dataset: Dataset) -> bytes:
    return encode(dataset, False, True) or b""


@dataclass(eq=False)
class RawPeer:
    """A connection that associates on entering and closes, without a release, on leaving."""

    address: tuple[str, int]
    calling: str = "RAW"
    abstract: str = CT
    socket: socket.socket = field(init=False)

    def __enter__(self) -> Self:
        self.socket = socket.create_connection(self.address, timeout=TIMEOUT_S)
        self.socket.sendall(associate_request(calling=self.calling, abstract=self.abstract))
        kind, _ = self.read()
        assert kind == 2, f"answered with PDU type {kind}"
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self) -> tuple[int, bytes]:
        """Type and body of the next PDU; 0 where the connection was closed."""
        header = self._exactly(6)
        if not header:
            return 0, b""
        kind, length = struct.unpack(">BxL", header)
        return kind, self._exactly(length)

    def store(self, dataset: Dataset, message: int = 1) -> int:
        """Send one object; the status of the answer."""
        self.send(data_value(store_command(dataset, message), command=True))
        data = encoded(dataset)
        for start in range(0, len(data), 60000):
            self.send(data_value(data[start : start + 60000], command=False, last=start + 60000 >= len(data)))
        return self.status()

    def status(self) -> int:
        kind, body = self.read()
        assert kind == 4, f"answered with PDU type {kind}"
        at = body.rindex(struct.pack("<HHL", 0, 0x0900, 2)) + 8
        return int(struct.unpack_from("<H", body, at)[0])

    def release(self) -> None:
        self.send(pdu(5, bytes(4)))
        kind, _ = self.read()
        assert kind == 6, f"answered with PDU type {kind}"

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                got = self.socket.recv(count - len(data))
            except ConnectionError:
                got = b""
            if not got:
                return b""
            data += got
        return data
