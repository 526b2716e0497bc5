"""Alignment files: A3M, Stockholm and aligned FASTA, plain or gzip, told apart by their content."""

from __future__ import annotations

import gzip
import itertools
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

from itda.errors import InputError
from itda.search.alignments.alignment import LOWER_CASE, Alignment, encode_rows, first_difference
from itda.search.alignments.stockholm import is_stockholm, read_stockholm

_FORMATS = "give A3M, Stockholm or aligned FASTA"
_PACKED = {
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"PK\x03\x04": "zip",
}
_GZIP_MAGIC = b"\x1f\x8b"
_LINE_END = re.compile(r"\r\n|\n|\r")
_COLABFOLD = re.compile(r"#\d+(?:,\d+)*\s+\d+(?:,\d+)*\s*$")
_COMPLEX = re.compile(r"#(\d+(?:,\d+)+)\t(\d+(?:,\d+)*)\s*")
_PATH = re.compile(r"[^\s>]+\.(a3m|a2m|sto|stk|stockholm|fa|fas|fasta|afa|aln)(\.gz)?", re.I)
# Rows of HH-suite that describe the query: secondary structure, its confidence, accessibility.
_ANNOTATIONS = {"ss_pred", "ss_conf", "ss_dssp", "sa_dssp", "sa_pred", "aa_pred"}
_NO_INSERTIONS = str.maketrans("", "", LOWER_CASE)


def read_alignment(path: Path, *, query: str | None) -> Alignment:
    """Read an alignment file.

    Its content tells the format: Stockholm begins with `# STOCKHOLM`; of files with `>` headers,
    rows of one length without lower case are aligned FASTA, all others A3M (A2M's dots are left
    out). In Stockholm and aligned FASTA the residues of row 1 make the columns; what stands where
    row 1 has a gap becomes an insertion. Lines of A3M that begin with `#`, and rows in which
    HH-suite keeps secondary structure (`ss_pred` and the like), are no sequences and are left out.

    Args:
        path: The file, plain or gzip.
        query: The sequence that row 1 must be; None takes row 1 as it is.

    Returns:
        The alignment with one row a sequence, in the order of the file; `species` is read from the
        headers, in Stockholm together with the descriptions (`#=GS … DE`).

    Raises:
        InputError: The file cannot be read, holds no sequence, a null byte or another character
            that is no residue, a row has another length, or row 1 is not the query; the message
            names file and row.
    """
    try:
        content = path.read_bytes()
        packed = next((name for magic, name in _PACKED.items() if content.startswith(magic)), None)
        if packed:
            raise InputError(f"{path}: is packed with {packed}", hint="unpack it, or use gzip")
        if content.startswith(_GZIP_MAGIC):
            content = gzip.decompress(content)
        text = content.decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InputError(
            f"{path}: cannot be read as an alignment: {error}", hint=_FORMATS
        ) from error
    return parse_alignment(text, query=query, where=str(path))


def is_alignment_text(head: str) -> bool:
    """Tell by its first lines whether a text can only be an alignment.

    So do Stockholm and ColabFold's A3M begin; A3M and aligned FASTA otherwise look like FASTA.

    Example:
        >>> is_alignment_text("# STOCKHOLM 1.0\\n"), is_alignment_text(">ubiquitin\\nMQIFVK\\n")
        (True, False)
    """
    lines = [line for line in _LINE_END.split(head.lstrip("\ufeff")) if line.strip()]
    return is_stockholm(lines) or (bool(lines) and _COLABFOLD.match(lines[0]) is not None)


def parse_alignment(text: str, *, query: str | None, where: str) -> Alignment:
    """Read an alignment from text; see `read_alignment`.

    Args:
        text: What such a file holds, not its path.
        query: The sequence that row 1 must be; None takes row 1 as it is.
        where: What to call the text in an error.

    Raises:
        InputError: See `read_alignment`.

    Example:
        >>> alignment = parse_alignment(">q\\nMKTAY\\n>r\\nMK-aaAY\\n", query="MKTAY", where="here")
        >>> alignment.deletions[1].tolist()
        [0, 0, 0, 2, 0]
    """
    if "\0" in text:
        number = text[: text.index("\0")].count("\n") + 1
        raise InputError(
            f"{where}: line {number} holds a null byte",
            hint="some servers end each alignment with one; make a file of each part",
        )
    lines = _LINE_END.split(text)
    if _PATH.fullmatch(text.strip()):
        raise InputError(
            f"{where}: holds the path {text.strip()}, not an alignment",
            hint="give the file itself",
        )
    if is_stockholm(lines):
        names, rows = read_stockholm(lines, where)
        texts = _by_first_row(names, rows, where)
    else:
        names, rows = _records(lines, where)
        texts = _as_a3m(names, rows, where)
    columns = texts[0].translate(_NO_INSERTIONS)
    if query is not None and columns != query:
        raise _not_the_query(names, texts, query, where)
    if not columns:
        raise InputError(f"{where}: row 1 ({names[0][:40]}) has no residues", hint=_FORMATS)
    return Alignment(
        tuple(names), encode_rows(texts, names, length=len(columns), where=where), tuple(texts)
    )


def _records(lines: Sequence[str], where: str) -> tuple[list[str], list[str]]:
    names: list[str] = []
    parts: list[list[str]] = []
    for number, line in enumerate(lines, start=1):
        if line.startswith(">"):
            names.append(line[1:].strip())
            parts.append([])
        elif line.startswith("#"):
            _refuse_complex(line, where)
        elif line.strip():
            if not names:
                raise InputError(
                    f"{where}: line {number} stands before the first '>'", hint=_FORMATS
                )
            parts[-1].append(line.strip())
    records = [
        (name, "".join(part))
        for name, part in zip(names, parts, strict=True)
        if name.partition(" ")[0] not in _ANNOTATIONS
    ]
    if not records:
        raise InputError(f"{where}: holds no sequence", hint=_FORMATS)
    return [name for name, _ in records], [row for _, row in records]


def _refuse_complex(line: str, where: str) -> None:
    found = _COMPLEX.fullmatch(line)
    if found:
        raise InputError(
            f"{where}: is an alignment of {found[1].count(',') + 1} chains, of {found[1]} residues",
            hint="give each chain an alignment of its own",
        )


def _as_a3m(names: list[str], rows: list[str], where: str) -> list[str]:
    aligned = (
        len({len(row) for row in rows}) == 1
        and any(mark in rows[0] for mark in "-.")
        and not any(letter in row for row in rows for letter in LOWER_CASE)
    )
    if aligned:
        return _by_first_row(names, rows, where)
    return [row.replace(".", "") for row in rows]


def _by_first_row(names: list[str], rows: list[str], where: str) -> list[str]:
    """Turn rows of one length into A3M whose columns are the residues of the first."""
    gaps = "-._~"
    for number, (name, row) in enumerate(zip(names, rows, strict=True), start=1):
        if len(row) != len(rows[0]):
            raise InputError(
                f"{where}: row {number} ({name[:40]}) has {len(row)} columns, row 1 {len(rows[0])}",
                hint="rows of Stockholm and aligned FASTA have one length",
            )
    runs = _runs([letter in gaps for letter in rows[0]])
    to_gap = str.maketrans(dict.fromkeys(gaps, "-"))
    to_nothing = str.maketrans(dict.fromkeys(gaps, ""))
    return [
        "".join(
            row[start:end].translate(to_nothing).lower()
            if is_inserted
            else row[start:end].translate(to_gap).upper()
            for start, end, is_inserted in runs
        )
        for row in rows
    ]


def _runs(flags: Sequence[bool]) -> list[tuple[int, int, bool]]:
    """Return the stretches of equal flags: start, end after the last, and the flag."""
    runs, start = [], 0
    for flag, group in itertools.groupby(flags):
        end = start + sum(1 for _ in group)
        runs.append((start, end, flag))
        start = end
    return runs


def _not_the_query(names: list[str], texts: list[str], query: str, where: str) -> InputError:
    found = texts[0].translate(_NO_INSERTIONS)
    row = f"{where}: row 1 ({names[0][:40]})"
    elsewhere = next(
        (number for number, text in enumerate(texts, 1) if text.replace("-", "").upper() == query),
        None,
    )
    if elsewhere == 1 and found.replace("-", "") != query:
        return InputError(
            f"{row} is not the query: {len(texts[0]) - len(found)} of its residues are in lower "
            "case",
            hint="lower case is an insertion beside the columns; write the query in upper case",
        )
    if elsewhere is not None and elsewhere > 1:
        return InputError(
            f"{row} is not the query, which stands in row {elsewhere} "
            f"({names[elsewhere - 1][:40]})",
            hint="put the query first and align the others to it",
        )
    if found.replace("-", "") == query:
        return InputError(
            f"{row} is not the query: it has gaps",
            hint="only where all rows have one length can the columns be told from them",
        )
    found = found.replace("-", "")
    return InputError(
        f"{row} is not the query: it has {len(found)} residues, the query {len(query)}"
        f"{first_difference(found, query)}",
        hint="the first sequence of the file must be the one to fold, without gaps",
    )
