"""Which format a file of coordinates is in, found from its content, and writing whole files."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path
from typing import Literal

from itda.errors import InputError, OutputError
from itda.language import Message
from itda.storage import replacing

Format = Literal["mmcif", "bcif", "pdb"]

SUFFIXES: dict[str, Format] = {
    ".cif": "mmcif",
    ".mmcif": "mmcif",
    ".bcif": "bcif",
    ".pdb": "pdb",
    ".ent": "pdb",
}
_READABLE = "mmCIF, BinaryCIF or PDB, each also gzipped"
_WRITABLE = ".cif, .bcif or .pdb, each also with .gz"

_GZIP_MAGIC = b"\x1f\x8b"
_TAR_MAGIC, _TAR_AT = b"ustar", 257
_OTHER_ARCHIVES = {
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"PK\x03\x04": "zip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x1f\x9d": "compress (.Z)",
}
_PDB_LINE = re.compile(
    r"^(HEADER|OBSLTE|TITLE |SPLIT |CAVEAT|COMPND|SOURCE|KEYWDS|EXPDTA|NUMMDL|MDLTYP|AUTHOR|REVDAT"
    r"|SPRSDE|JRNL  |REMARK|DBREF |SEQRES|HET   |HETNAM|HELIX |SHEET |SSBOND|LINK  |CRYST1|ORIGX1"
    r"|SCALE1|MODEL |ANISOU|PARENT|USER  |(?i:ATOM[ \d]|HETATM))",
    re.MULTILINE,
)
_ATOM_SITE = re.compile(r"^\s*_atom_site\.", re.IGNORECASE | re.MULTILINE)
_FIRST_WORDS = re.compile(r"^[^\S\n]*(?![\s#])(.+)$", re.MULTILINE)
_OTHER_CONTENTS = {
    ">": "this looks like FASTA, which holds no coordinates",
    "<!doctype": "this is a web page; download the structure file itself",
    "<html": "this is a web page; download the structure file itself",
    "<": "this looks like XML (PDBML); download mmCIF instead, or turn it into mmCIF",
    "{": "this looks like JSON; turn mmJSON into mmCIF, as with `gemmi convert`",
    "@<tripos>": "this looks like MOL2, which holds small molecules",
}
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_LONGEST_QUOTE = 40


def read_content(path: Path) -> bytes:
    """Read a file whole, unpacked if it is gzipped.

    Raises:
        InputError: If it is missing, no file, unreadable, empty, or a broken or other archive.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(Message("{path}: no such file", path=path)) from error
    except IsADirectoryError as error:
        raise InputError(Message("{path}: is a folder, not a structure file", path=path)) from error
    except OSError as error:
        raise InputError(
            Message(
                "{path}: cannot be read: {strerror}", path=path, strerror=error.strerror or error
            )
        ) from error
    for magic, name in _OTHER_ARCHIVES.items():
        if content.startswith(magic):
            raise InputError(
                Message("{path}: is packed with {name}", path=path, name=name),
                hint=Message("unpack it, or pack it with gzip instead"),
            )
    if content.startswith(_GZIP_MAGIC):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(
                Message("{path}: is broken or cut-off gzip data: {error}", path=path, error=error),
                hint=Message("copy it again, whole"),
            ) from error
    if content[_TAR_AT : _TAR_AT + len(_TAR_MAGIC)] == _TAR_MAGIC:
        raise InputError(
            Message("{path}: is a tar archive", path=path),
            hint=Message("unpack it, and give the file in it"),
        )
    if not content.strip():
        raise InputError(
            Message("{path}: is empty", path=path),
            hint=Message("a structure file is {readable}", readable=_READABLE),
        )
    return content


def find_format(content: bytes, path: Path) -> tuple[Format, str]:
    """Tell the format of a file from its content; its name does not matter.

    Args:
        content: The unpacked file.
        path: Its name, for the error.

    Returns:
        The format, and the text with `\\n` line ends; no text for BinaryCIF.

    Raises:
        InputError: If it is none of the formats.
    """
    if _is_binary_cif(content):
        return "bcif", ""
    text = _as_text(content, path)
    words = _FIRST_WORDS.search(text)
    first = "" if words is None else words[1].strip()
    if first.lower().startswith("data_"):
        return "mmcif", text
    if first.lower().startswith(("loop_", "_")):
        # The name of the block is lost, as where a table was cut out; the lines keep their numbers.
        return "mmcif", f"data_ {text}"
    if _ATOM_SITE.search(text):
        return "mmcif", text
    if _PDB_LINE.search(text):
        return "pdb", text
    hint = Message("a structure file is {readable}", readable=_READABLE)
    for begin, told in _OTHER_CONTENTS.items():
        if first.lower().startswith(begin):
            hint = Message("{told}; {hint}", told=told, hint=hint)
            break
    raise InputError(
        Message(
            "{path}: is of no known format; it begins with {first!r}",
            path=path,
            first=first[:_LONGEST_QUOTE],
        ),
        hint=hint,
    )


def format_of_name(path: Path) -> tuple[Format, bool]:
    """Tell from a file name which format to write, and whether to gzip.

    Raises:
        OutputError: If the suffix stands for no format.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = bool(suffixes) and suffixes[-1] == ".gz"
    suffix = (suffixes[:-1] if packed else suffixes)[-1:]
    if not suffix or suffix[0] not in SUFFIXES:
        raise OutputError(
            Message("{path}: the name does not tell a structure format", path=path),
            hint=Message("use {writable}", writable=_WRITABLE),
        )
    return SUFFIXES[suffix[0]], packed


def write_content(path: Path, content: bytes, *, packed: bool) -> None:
    """Write a file so that it is there whole or not at all; equal content gives equal bytes.

    Raises:
        OutputError: If it cannot be written; what was there is as it was.
    """
    try:
        with replacing(path) as waiting:
            waiting.write_bytes(gzip.compress(content, mtime=0) if packed else content)
    except OSError as error:
        raise OutputError(
            Message(
                "{path}: cannot be written: {strerror}", path=path, strerror=error.strerror or error
            )
        ) from error


def _is_binary_cif(content: bytes) -> bool:
    """Tell whether the bytes are a MessagePack map with the one key that BinaryCIF must have."""
    starts_map = 0x80 <= content[0] <= 0x8F or content[0] in (0xDE, 0xDF)
    return starts_map and b"dataBlocks" in content


def _as_text(content: bytes, path: Path) -> str:
    if content.startswith(_UTF_16):
        text = content.decode("utf-16", errors="replace")
        return _with_line_feeds(text)
    if b"\x00" in content:
        begin = content[:_LONGEST_QUOTE]
        if begin.isascii() and "".join(begin.decode().split()).isprintable():
            line = content.count(b"\n", 0, content.index(b"\x00")) + 1
            raise InputError(
                Message(
                    "{path}: line {line} has a NUL byte, so the file is damaged",
                    path=path,
                    line=line,
                ),
                hint=Message("copy it again, whole"),
            )
        raise InputError(
            Message("{path}: is binary data of no known format", path=path),
            hint=Message("a structure file is {readable}", readable=_READABLE),
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Old PDB files hold author names in Latin-1; coordinates are ASCII in either.
        text = content.decode("latin-1")
    return _with_line_feeds(text)


def _with_line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
