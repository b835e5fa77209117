"""Writes the small part of HDF5 that a weight file needs, so that a conversion needs neither h5py nor a C library.

After the HDF5 File Format Specification, version 3.0: superblock 2, object headers 2, links and attributes in the
headers, contiguous datasets of little-endian numbers.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Scalar: TypeAlias = str | int | float | list[int]
_NOWHERE = b"\xff" * 8
_SUPERBLOCK = 48


@dataclass
class Group:
    """A group: attributes, and datasets and groups by name."""

    attributes: dict[str, Scalar] = field(default_factory=dict)
    children: dict[str, Group | npt.NDArray[Any]] = field(default_factory=dict)

    def add(self, path: str, child: npt.NDArray[Any]) -> None:
        """Put an array at this path, making the groups on the way."""
        head, _, rest = path.partition("/")
        if not rest:
            self.children[head] = child
            return
        inner = self.children.setdefault(head, Group())
        if not isinstance(inner, Group):
            raise ValueError(f"{head} is an array, not a group")
        inner.add(rest, child)


def image(root: Group) -> bytes:
    """The bytes of an HDF5 file."""
    file = bytearray(_SUPERBLOCK)
    address = _write(file, root)
    head = b"\x89HDF\r\n\x1a\n" + struct.pack("<BBBBQ8sQQ", 2, 8, 8, 0, 0, _NOWHERE, len(file), address)
    file[:_SUPERBLOCK] = head + struct.pack("<I", _lookup3(head))
    return bytes(file)


def _write(file: bytearray, node: Group | npt.NDArray[Any]) -> int:
    """Append a node and all below it; return the address of its object header."""
    if isinstance(node, Group):
        messages = [_message(0x02, b"\0\0" + 2 * _NOWHERE), _message(0x0A, b"\0\0")]
        for name, child in node.children.items():
            address = _write(file, child)
            text = name.encode()
            messages.append(_message(0x06, struct.pack("<BBB", 1, 0, len(text)) + text + struct.pack("<Q", address)))
        messages += [_attribute(name, value) for name, value in node.attributes.items()]
    else:
        data = np.ascontiguousarray(node, node.dtype.newbyteorder("<")).tobytes()
        _align(file)
        place = struct.pack("<Q", len(file)) if data else _NOWHERE
        file += data
        messages = [
            _message(0x01, _space(node.shape)),
            _message(0x03, _type(node.dtype)),
            _message(0x05, b"\x03\x0a"),  # fill values: late, if set, and none is
            _message(0x08, b"\x03\x01" + place + struct.pack("<Q", len(data))),
        ]
    _align(file)
    body = b"".join(messages)
    header = b"OHDR" + struct.pack("<BBI", 2, 2, len(body)) + body
    address = len(file)
    file += header + struct.pack("<I", _lookup3(header))
    return address


def _align(file: bytearray) -> None:
    file += b"\0" * (-len(file) % 8)


def _message(kind: int, body: bytes) -> bytes:
    return struct.pack("<BHB", kind, len(body), 0) + body


def _attribute(name: str, value: Scalar) -> bytes:
    text = name.encode() + b"\0"
    if isinstance(value, str):
        data = value.encode() or b"\0"
        kind, space = struct.pack("<4BI", 0x13, 0x11, 0, 0, len(data)), _space(())
    else:
        array = np.asarray(value, np.float64 if isinstance(value, float) else np.int64)
        data, kind, space = array.tobytes(), _type(array.dtype), _space(array.shape)
    head = struct.pack("<BBHHHB", 3, 0, len(text), len(kind), len(space), 1)
    return _message(0x0C, head + text + kind + space + data)


def _space(shape: tuple[int, ...]) -> bytes:
    return struct.pack("<4B", 2, len(shape), 0, bool(shape)) + b"".join(struct.pack("<Q", n) for n in shape)


def _type(dtype: np.dtype[Any]) -> bytes:
    match dtype.name:
        case "float64":
            return struct.pack("<4BIHH4BI", 0x11, 0x20, 63, 0, 8, 0, 64, 52, 11, 0, 52, 1023)
        case "float32":
            return struct.pack("<4BIHH4BI", 0x11, 0x20, 31, 0, 4, 0, 32, 23, 8, 0, 23, 127)
        case "int64":
            return struct.pack("<4BIHH", 0x10, 0x08, 0, 0, 8, 0, 64)
    raise TypeError(f"a weight file has no arrays of {dtype}")


def _lookup3(data: bytes) -> int:
    """Jenkins' lookup3 (hashlittle), HDF5's checksum of what is not data."""
    mask = 0xFFFFFFFF

    def rotate(x: int, k: int) -> int:
        return (x << k | x >> (32 - k)) & mask

    a = b = c = 0xDEADBEEF + len(data) & mask
    if not data:
        return c
    words: tuple[int, ...] = struct.unpack(f"<{-(-len(data) // 12) * 3}I", data + b"\0" * (-len(data) % 12))
    for i in range(0, len(words) - 3, 3):
        a, b, c = a + words[i] & mask, b + words[i + 1] & mask, c + words[i + 2] & mask
        a = a - c & mask ^ rotate(c, 4)
        c = c + b & mask
        b = b - a & mask ^ rotate(a, 6)
        a = a + c & mask
        c = c - b & mask ^ rotate(b, 8)
        b = b + a & mask
        a = a - c & mask ^ rotate(c, 16)
        c = c + b & mask
        b = b - a & mask ^ rotate(a, 19)
        a = a + c & mask
        c = c - b & mask ^ rotate(b, 4)
        b = b + a & mask
    a, b, c = a + words[-3] & mask, b + words[-2] & mask, c + words[-1] & mask
    c = (c ^ b) - rotate(b, 14) & mask
    a = (a ^ c) - rotate(c, 11) & mask
    b = (b ^ a) - rotate(a, 25) & mask
    c = (c ^ b) - rotate(b, 16) & mask
    a = (a ^ c) - rotate(c, 4) & mask
    b = (b ^ a) - rotate(a, 14) & mask
    return (c ^ b) - rotate(b, 24) & mask
