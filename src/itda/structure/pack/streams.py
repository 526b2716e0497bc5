"""Arrays of small whole numbers to few bytes, by LZMA without its own container."""

from __future__ import annotations

import lzma

import numpy as np
from jaxtyping import Int, UInt8

from itda.errors import DataError
from itda.language import Message

_ESCAPE = 255
# Literals coded by the byte before them alone suit streams of residuals best.
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "lc": 0, "lp": 0, "pb": 0}]


def compress(data: bytes) -> bytes:
    """Compress bytes."""
    return lzma.compress(data, format=lzma.FORMAT_RAW, filters=_FILTERS)


def decompress(data: bytes) -> bytes:
    """Undo `compress`.

    Raises:
        DataError: The bytes are not whole.
    """
    decompressor = lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=_FILTERS)
    try:
        result = decompressor.decompress(data)
    except lzma.LZMAError as error:
        raise DataError(Message("packed data cannot be read: {error}", error=error)) from error
    if not decompressor.eof:
        raise DataError(Message("packed data ends too early"))
    return result


def encode_integers(values: Int[np.ndarray, " value"]) -> bytes:
    """Encode whole numbers, most of them near 0: one byte each, four more beyond 127."""
    folded = np.where(values >= 0, 2 * values, -2 * values - 1).astype(np.int64)
    small = folded < _ESCAPE
    low = np.where(small, folded, _ESCAPE).astype(np.uint8)
    return low.tobytes() + folded[~small].astype("<u4").tobytes()


def decode_integers(data: bytes, count: int) -> Int[np.ndarray, " value"]:
    """Undo `encode_integers`.

    Raises:
        DataError: There are more or fewer than `count` numbers.
    """
    low: UInt8[np.ndarray, " value"] = np.frombuffer(data[:count], np.uint8)
    large = low == _ESCAPE
    rest = data[count:]
    if len(low) != count or len(rest) != 4 * int(large.sum()):
        raise DataError(Message("packed data holds another number of values than its index says"))
    folded = low.astype(np.int64)
    folded[large] = np.frombuffer(rest, "<u4")
    return np.where(folded % 2 == 0, folded // 2, -(folded + 1) // 2)
