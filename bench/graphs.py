"""ONNX graphs for the comparison: the same graph without one of its outputs, and sessions on one thread.

An ONNX file is a protocol buffer: ``ModelProto.graph`` is field 7, ``GraphProto.output`` field 12 and
``ValueInfoProto.name`` field 1. Source: onnx/onnx.proto of the ONNX standard.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

_GRAPH, _OUTPUT, _NAME = 7, 12, 1
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5


def session(graph: bytes, *, threads: int = 1) -> Any:
    """An ONNX Runtime session as `radiolucent.engines.runtime` makes it, on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def run(network: Any, images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """All outputs of a session for a batch ``(N, C, H, W)``."""
    outputs: list[NDArray[np.float32]] = network.run(None, {network.get_inputs()[0].name: images})
    return outputs


def without_output(graph: bytes, name: str) -> bytes:
    """The same model with one output fewer; its nodes stay, and the runtime drops those that nothing needs.

    Raises
    ------
    ValueError
        If the model has no such output.
    """
    parts, dropped = [], 0
    for number, raw, value in _fields(graph):
        if number != _GRAPH:
            parts.append(raw)
            continue
        inner = []
        for inner_number, inner_raw, inner_value in _fields(value):
            if inner_number == _OUTPUT and _text(inner_value) == name:
                dropped += 1
            else:
                inner.append(inner_raw)
        body = b"".join(inner)
        parts.append(_varint(_GRAPH << 3 | _LENGTH) + _varint(len(body)) + body)
    if not dropped:
        raise ValueError(f"the model has no output {name!r}")
    return b"".join(parts)


def _text(value_info: bytes) -> str:
    return next(value for number, _, value in _fields(value_info) if number == _NAME).decode()


def _fields(message: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """(field number, its bytes as they stand, its payload) for each field of a message."""
    position = 0
    while position < len(message):
        start = position
        key, position = _read_varint(message, position)
        kind = key & 7
        if kind == _LENGTH:
            length, position = _read_varint(message, position)
            first, position = position, position + length
        elif kind == _VARINT:
            first = position
            _, position = _read_varint(message, position)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            first, position = position, position + (8 if kind == _EIGHT_BYTES else 4)
        else:
            raise ValueError(f"wire type {kind} is not known")
        yield key >> 3, message[start:position], message[first:position]


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
