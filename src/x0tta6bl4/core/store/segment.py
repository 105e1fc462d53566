"""One file of readings: a header, then frames `length, crc32, body`; what follows the last whole frame is cut off.

A body is one type byte and: `L` a layout (its number in this file, then its names as compressed JSON); `V` the layout's
number, a time in UTC seconds, the shape, and the float32 values, XORed with the frame before it of the same layout
(mostly zeros, for few readings change) and compressed with zlib.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from x0tta6bl4.errors import ProtocolError
from x0tta6bl4.model import Floats

MAGIC: Final = b"x0tblk1\n"
_FRAME: Final = struct.Struct("<II")  # length of the body, crc32 of the body
_LAYOUT: Final = struct.Struct("<cI")  # b"L", number
_VALUES: Final = struct.Struct("<cIdIII")  # b"V", layout's number, UTC seconds, planes, components, metrics
_LONGEST: Final = 1 << 30

Names = tuple[tuple[str, ...], tuple[str, ...]]
"""(components as text, metrics) of one layout."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One block of readings: values float32 [planes, components, metrics]."""

    at_utc: float
    names: Names
    values: Floats


def layout_body(number: int, names: Names) -> bytes:
    """The body that gives a layout its number within the file."""
    return _LAYOUT.pack(b"L", number) + zlib.compress(json.dumps(names).encode(), 1)


def values_body(number: int, at_utc: float, bits: NDArray[np.uint32]) -> bytes:
    """The body of one block. bits: the values as uint32 [planes, components, metrics], XORed with those before."""
    return _VALUES.pack(b"V", number, at_utc, *bits.shape) + zlib.compress(bits.tobytes(), 1)


class SegmentWriter:
    """Appends frames to a new file; each is handed to the operating system before `append` returns.

    Raises OSError where the file cannot be made or written; a frame that did not fit is taken back.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._numbers: dict[Names, int] = {}
        self._before: dict[int, NDArray[np.uint32]] = {}
        self.size = 0
        self._write(MAGIC)

    def append(self, at_utc: float, names: Names, values: Floats) -> None:
        """Add one block. values: float32 [planes, components, metrics]."""
        number = self._numbers.get(names)
        if number is None:
            number = len(self._numbers)
            self._write(_framed(layout_body(number, names)))
            self._numbers[names] = number
        bits = np.array(values, dtype=np.float32, order="C").view(np.uint32)  # a copy: the caller may go on writing
        before = self._before.get(number)
        self._write(_framed(values_body(number, at_utc, bits if before is None else bits ^ before)))
        self._before[number] = bits

    def _write(self, data: bytes) -> None:
        written = 0
        try:
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError:
            os.ftruncate(self._file, self.size)
            os.lseek(self._file, self.size, os.SEEK_SET)
            raise
        self.size += written

    def close(self) -> None:
        """Bring the file to the disk and let it go; a second call does nothing."""
        if self._file >= 0:
            os.fsync(self._file)
            os.close(self._file)
            self._file = -1


def _framed(body: bytes) -> bytes:
    return _FRAME.pack(len(body), zlib.crc32(body)) + body


def bodies(path: Path, size: int | None = None) -> Iterator[tuple[bytes, int]]:
    """(body, position after it) of every whole frame, in order; ends at the first that is torn or damaged.

    size: how much of the file to look at (all of it by default). Raises OSError where it cannot be read.
    """
    with path.open("rb") as file:
        end = os.fstat(file.fileno()).st_size if size is None else size
        if file.read(len(MAGIC)) != MAGIC:
            return
        position = len(MAGIC)
        while position + _FRAME.size <= end:
            length, crc = _FRAME.unpack(file.read(_FRAME.size))
            if length > min(_LONGEST, end - position - _FRAME.size):
                return
            body = file.read(length)
            if len(body) < length or zlib.crc32(body) != crc:
                return
            position += _FRAME.size + length
            yield body, position


def frames(path: Path, size: int | None = None) -> Iterator[Frame]:
    """The blocks of a file, in the order they were added; raises ProtocolError where a frame makes no sense."""
    names: dict[int, Names] = {}
    before: dict[int, NDArray[np.uint32]] = {}
    for body, position in bodies(path, size):
        try:
            if body[:1] == b"L":
                number = _LAYOUT.unpack_from(body)[1]
                components, metrics = json.loads(zlib.decompress(body[_LAYOUT.size :]))
                names[number] = (tuple(components), tuple(metrics))
                continue
            _, number, at_utc, *shape = _VALUES.unpack_from(body)
            bits = np.frombuffer(zlib.decompress(body[_VALUES.size :]), dtype=np.uint32).reshape(shape)
            before[number] = bits = bits ^ before[number] if number in before else bits
            yield Frame(at_utc, names[number], bits.view(np.float32))
        except (KeyError, ValueError, struct.error, zlib.error) as error:
            raise ProtocolError(f"blocks {path}: the frame before byte {position} makes no sense: {error}") from error


def mend(path: Path) -> tuple[float, float] | None:
    """Cut off what follows the last whole frame; returns the first and last time in the file, None where none is."""
    position, times = 0, []
    for body, end in bodies(path):
        position = end
        if body[:1] == b"V":
            times.append(_VALUES.unpack_from(body)[2])
    if path.stat().st_size > position:
        os.truncate(path, position)
    return (min(times), max(times)) if times else None
