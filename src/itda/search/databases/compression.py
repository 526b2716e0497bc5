"""Files that may be compressed, read in blocks, so that a cut or damaged one is found out."""

from __future__ import annotations

import hashlib
import importlib
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from itda.errors import DependencyError, InputError
from itda.language import Message

_BLOCK_BYTES = 1 << 18
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_OTHERS = {
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf": "7z",
}


class _Decoder(Protocol):
    """Decompresses one member of a file; `zlib` and the zstd packages agree on this much."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


class BlockReader:
    """A file that is plain or compressed with gzip or zstd, told by its first bytes.

    Args:
        path: The file.

    Attributes:
        size: Bytes on disk.
        bytes_read: Bytes of the file that were read so far.

    Raises:
        InputError: It is missing, a folder, empty, or compressed in another way.
        DependencyError: It is compressed with zstd and nothing is installed that reads it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bytes_read = 0
        self._digest = hashlib.sha256()
        try:
            with path.open("rb") as stream:
                start = stream.read(8)
            self.size = path.stat().st_size
        except OSError as error:
            raise InputError(
                Message("{path}: cannot be read: {strerror}", path=path, strerror=error.strerror),
                hint=Message("give a FASTA file"),
            ) from error
        if not start:
            raise InputError(
                Message("{path}: is empty", path=path), hint=Message("give a FASTA file")
            )
        for magic, kind in _OTHERS.items():
            if start.startswith(magic):
                raise InputError(
                    Message("{path}: is compressed with {kind}", path=path, kind=kind),
                    hint=Message("gzip, zstd and plain text are read; decompress it first"),
                )
        self._new_decoder: Callable[[], _Decoder] | None = None
        if start.startswith(_GZIP):
            self._new_decoder = _gzip_decoder
        elif start.startswith(_ZSTD):
            self._new_decoder = zstd_decoders(path)

    @property
    def sha256(self) -> str:
        """Digest of the bytes that were read."""
        return self._digest.hexdigest()

    def blocks(self) -> Iterator[bytes]:
        """Yield the content.

        Raises:
            InputError: The file ends early or is damaged.
        """
        decoder: _Decoder | None = None
        try:
            for raw in self._raw_blocks():
                block = raw
                if self._new_decoder is None:
                    yield block
                    continue
                while block:
                    if decoder is None:
                        decoder = self._new_decoder()
                    content = decoder.decompress(block)
                    if content:
                        yield content
                    block = b""
                    if decoder.eof:
                        # Tapes and some servers pad the end with zeros.
                        block = decoder.unused_data.lstrip(b"\0")
                        decoder = None
        except OSError as error:
            raise InputError(
                Message(
                    "{path}: cannot be read: {strerror}", path=self.path, strerror=error.strerror
                )
            ) from error
        except Exception as error:
            if not _is_decompression_error(error):
                raise
            raise InputError(
                Message(
                    "{path}: is damaged near byte {bytes_read:,}: {error}",
                    path=self.path,
                    bytes_read=self.bytes_read,
                    error=error,
                ),
                hint=Message("fetch the file again"),
            ) from error
        if decoder is not None:
            raise InputError(
                Message(
                    "{path}: ends in the middle of its compressed data, after {bytes_read:,} bytes",
                    path=self.path,
                    bytes_read=self.bytes_read,
                ),
                hint=Message("its download or copy was cut; fetch the file again"),
            )

    def _raw_blocks(self) -> Iterator[bytes]:
        with self.path.open("rb") as stream:
            while block := stream.read(_BLOCK_BYTES):
                self.bytes_read += len(block)
                self._digest.update(block)
                yield block


def zstd_decoders(path: Path) -> Callable[[], _Decoder]:
    """Return what makes a decoder of one zstd frame.

    Args:
        path: The file, for the message.

    Raises:
        DependencyError: Neither Python's own `compression.zstd` nor `zstandard` is there.
    """
    try:
        own = importlib.import_module("compression.zstd")
    except ImportError:
        try:
            zstandard = importlib.import_module("zstandard")
        except ImportError:
            raise DependencyError(
                Message(
                    "{path} is compressed with zstd, and the package zstandard is not installed",
                    path=path,
                ),
                hint=Message("pip install zstandard, or decompress the file with `zstd -d`"),
            ) from None
        # Files made with `zstd --long` need a larger window than the default.
        machine = zstandard.ZstdDecompressor(max_window_size=1 << 31)
        return lambda: machine.decompressobj()
    longest = {own.DecompressionParameter.window_log_max: 31}
    return lambda: own.ZstdDecompressor(options=longest)


def _gzip_decoder() -> _Decoder:
    return zlib.decompressobj(wbits=31)


def _is_decompression_error(error: Exception) -> bool:
    return isinstance(error, zlib.error) or type(error).__name__ in ("ZstdError", "EOFError")
