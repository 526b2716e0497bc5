"""Alignment files in every form that is read, plain or gzip, told apart by their content."""

from __future__ import annotations

import codecs
import dataclasses
import gzip
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

from itda.errors import InputError
from itda.job.fasta import PIR_HEADER
from itda.language import Message
from itda.search.alignments.alignment import (
    Alignment,
    Molecule,
    encode_rows,
    first_difference,
)
from itda.search.alignments.clustal import is_clustal, read_clustal
from itda.search.alignments.rows import (
    NO_INSERTIONS,
    agree,
    as_query,
    as_rna,
    by_first_row,
    from_a3m,
    letters_of,
    to_upper,
    without_stops,
)
from itda.search.alignments.stockholm import is_stockholm, read_stockholm

_FORMATS = Message("give A3M, Stockholm, CLUSTAL or aligned FASTA")
_PACKED = {
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"PK\x03\x04": "zip",
}
_GZIP_MAGIC = b"\x1f\x8b"
_LINE_END = re.compile(r"\r\n|\n|\r")
_COLABFOLD = re.compile(r"#\d+(?:,\d+)*\s+\d+(?:,\d+)*\s*$")
_COMPLEX = re.compile(r"#(\d+(?:,\d+)+)\s+(\d+(?:,\d+)*)\s*")
_PATH = re.compile(r"[^\s>]+\.(a3m|a2m|sto|stk|stockholm|fa|fas|fasta|afa|aln)(\.gz)?", re.I)
# Rows of HH-suite that describe the query: secondary structure, its confidence, accessibility,
# sequences of DSSP and of the consensus.
_ANNOTATIONS = {"ss_pred", "ss_conf", "ss_dssp", "sa_dssp", "sa_pred", "aa_pred", "aa_dssp"}
_CONSENSUS = re.compile(r"Consensus|\S*_consensus")
_OTHER_FORMS = {
    "a profile of HMMER": re.compile(r"HMMER\d/"),
    "a profile of HH-suite": re.compile(r"HHsearch \d|HHblits|HHM\b"),
    "an alignment in NEXUS": re.compile(r"#NEXUS", re.I),
    "an alignment in MSF": re.compile(r"!!\w\w_MULTIPLE|PileUp|.*\bMSF:", re.I),
    "an alignment in PHYLIP": re.compile(r"\s*\d+\s+\d+\s*([is]\s*)?$", re.I),
    "a result of BLAST": re.compile(r"T?BLAST[NPX]\b", re.I),
    "JSON": re.compile(r"\s*[{\[]"),
    "an HTML or XML page": re.compile(r"\s*<"),
}


def read_alignment(path: Path, *, query: str | None, molecule: Molecule = "protein") -> Alignment:
    """Read an alignment file.

    Its content tells the format: Stockholm begins with `# STOCKHOLM`, CLUSTAL with the name of a
    program; of files with `>` headers, rows of one length without lower case are aligned FASTA
    where the first has gaps, all others A3M (A2M's dots are left out). In all but A3M the residues
    of row 1 make the columns; what stands where row 1 has a gap becomes an insertion. Lines of A3M
    that begin with `#` or `;`, and rows in which HH-suite keeps secondary structure or a consensus
    (`ss_pred` and the like), are no sequences and are left out.

    Letters are cleaned as those of the sequence that is folded: a stop at the end goes, lower case
    throughout is upper case, and row 1 may have a rare letter (U, O, B, Z, J, X) where the query
    has what it stands for. In an alignment of RNA T is read as U.

    Args:
        path: The file, plain or gzip.
        query: The sequence that row 1 must be; None takes row 1 as it is.
        molecule: What is aligned.

    Returns:
        The alignment with one row a sequence, in the order of the file; `species` is read from the
        headers, in Stockholm together with the descriptions (`#=GS … DE`); `notes` say what was
        changed or left out.

    Raises:
        InputError: The file cannot be read, holds no sequence, a null byte or another character
            that is no residue, a row has another length, or row 1 is not the query; the message
            names file and row.
    """
    try:
        content = path.read_bytes()
        packed = next((name for magic, name in _PACKED.items() if content.startswith(magic)), None)
        if packed:
            raise InputError(
                Message("{path}: is packed with {packed}", path=path, packed=packed),
                hint=Message("unpack it, or use gzip"),
            )
        if content.startswith(_GZIP_MAGIC):
            content = gzip.decompress(content)
        text, notes = _decoded(content)
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InputError(
            Message("{path}: cannot be read as an alignment: {error}", path=path, error=error),
            hint=_FORMATS,
        ) from error
    alignment = parse_alignment(text, query=query, where=str(path), molecule=molecule)
    return dataclasses.replace(alignment, notes=(*notes, *alignment.notes)) if notes else alignment


def _decoded(content: bytes) -> tuple[str, list[str]]:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16"), []
    try:
        return content.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        # Rows are ASCII; only names can hold such bytes.
        return content.decode("latin-1"), ["names are no UTF-8 and were read as Latin-1"]


def is_alignment_text(head: str) -> bool:
    """Tell by its first lines whether a text can only be an alignment.

    So do Stockholm, CLUSTAL and ColabFold's A3M begin; A3M and aligned FASTA look like FASTA.

    Example:
        >>> is_alignment_text("# STOCKHOLM 1.0\\n"), is_alignment_text(">ubiquitin\\nMQIFVK\\n")
        (True, False)
    """
    lines = [line for line in _LINE_END.split(head.lstrip("\ufeff")) if line.strip()]
    if is_stockholm(lines) or is_clustal(lines):
        return True
    return bool(lines) and _COLABFOLD.match(lines[0]) is not None


def parse_alignment(
    text: str, *, query: str | None, where: str, molecule: Molecule = "protein"
) -> Alignment:
    """Read an alignment from text; see `read_alignment`.

    Args:
        text: What such a file holds, not its path.
        query: The sequence that row 1 must be; None takes row 1 as it is.
        where: What to call the text in an error.
        molecule: What is aligned.

    Raises:
        InputError: See `read_alignment`.

    Example:
        >>> alignment = parse_alignment(">q\\nMKTAY\\n>r\\nMK-aaAY\\n", query="MKTAY", where="here")
        >>> alignment.deletions[1].tolist()
        [0, 0, 0, 2, 0]
    """
    notes: list[str] = []
    if text.startswith("\ufeff"):
        text = text[1:]
    lines = _LINE_END.split(_without_nulls(text, where, notes))
    if _PATH.fullmatch(text.strip()):
        raise InputError(
            Message(
                "{where}: holds the path {text}, not an alignment", where=where, text=text.strip()
            ),
            hint=Message("give the file itself"),
        )
    blocks = is_stockholm(lines) or is_clustal(lines)
    if blocks:
        names, rows = (read_stockholm if is_stockholm(lines) else read_clustal)(lines, where)
    else:
        names, rows = _records(lines, query, where, notes)
    rows = to_upper(rows, notes)
    texts = by_first_row(names, rows, where) if blocks else from_a3m(names, rows, where, notes)
    texts = without_stops(texts, notes)
    if molecule == "rna":
        texts = as_rna(texts, notes)
    columns = texts[0].translate(NO_INSERTIONS)
    if query is not None and columns != query:
        if not agree(columns, query, molecule):
            raise _not_the_query(names, texts, query, where)
        texts[0] = as_query(texts[0], query, notes)
    if not columns:
        raise InputError(
            Message("{where}: row 1 ({names}) has no residues", where=where, names=names[0][:40]),
            hint=_FORMATS,
        )
    encoded = encode_rows(texts, names, length=len(columns), where=where, molecule=molecule)
    return Alignment(tuple(names), encoded, tuple(texts), notes=tuple(notes), molecule=molecule)


def _without_nulls(text: str, where: str, notes: list[str]) -> str:
    """Take out the null byte with which servers end an alignment."""
    if "\0" not in text:
        return text
    parts = [part for part in text.split("\0") if part.strip()]
    if len(parts) > 1:
        number = text[: text.index("\0")].count("\n") + 1
        raise InputError(
            Message(
                "{where}: line {number} holds a null byte, and {count} parts stand around such",
                where=where,
                number=number,
                count=len(parts),
            ),
            hint=Message("some servers end each alignment with one; make a file of each part"),
        )
    notes.append(Message("null bytes at the end removed"))
    return "".join(parts)


def _records(
    lines: Sequence[str], query: str | None, where: str, notes: list[str]
) -> tuple[list[str], list[str]]:
    names: list[str] = []
    parts: list[list[str]] = []
    blanks = describes = False
    for number, line in enumerate(lines, start=1):
        if line.startswith(">"):
            pir = PIR_HEADER.fullmatch(line.strip())
            describes = pir is not None
            names.append(pir[1].strip() if pir else line[1:].strip())
            parts.append([])
        elif describes:
            names[-1] = f"{names[-1]} {line.strip()}".strip()
            describes = False
        elif line.startswith("#"):
            _refuse_complex(line, where)
            _refuse_other_form(line, where)
        elif line.strip() and not line.startswith(";"):
            if not names:
                _refuse_other_form(line, where)
                raise InputError(
                    Message(
                        "{where}: line {number} stands before the first '>'",
                        where=where,
                        number=number,
                    ),
                    hint=_FORMATS,
                )
            letters = letters_of(line)
            blanks = blanks or letters != line.strip()
            parts[-1].append(letters)
    if blanks:
        notes.append(Message("blanks, residue numbers or typographic characters in rows removed"))
    records = [(name, "".join(part)) for name, part in zip(names, parts, strict=True)]
    kept: list[tuple[str, str]] = []
    left: list[str] = []
    for name, row in records:
        if _is_annotation(name, row, query):
            left.append(name.split()[0])
        else:
            kept.append((name, row))
    if left:
        notes.append(Message("rows that are no sequences left out: {left:,}", left=left))
    if not kept:
        raise InputError(Message("{where}: holds no sequence", where=where), hint=_FORMATS)
    return [name for name, _ in kept], [row for _, row in kept]


def _is_annotation(name: str, row: str, query: str | None) -> bool:
    first = name.split(maxsplit=1)[0] if name else ""
    if first in _ANNOTATIONS:
        return True
    return _CONSENSUS.fullmatch(first) is not None and row != query


def _refuse_other_form(line: str, where: str) -> None:
    for form, start in _OTHER_FORMS.items():
        if start.match(line):
            raise InputError(Message("{where}: is {form}", where=where, form=form), hint=_FORMATS)


def _refuse_complex(line: str, where: str) -> None:
    found = _COMPLEX.fullmatch(line)
    if found:
        raise InputError(
            Message(
                "{where}: is an alignment of {count} chains, of {found} residues",
                where=where,
                count=found[1].count(",") + 1,
                found=found[1],
            ),
            hint=Message("give each chain an alignment of its own"),
        )


def _not_the_query(names: list[str], texts: list[str], query: str, where: str) -> InputError:
    found = texts[0].translate(NO_INSERTIONS)
    row = Message("{where}: row 1 ({names})", where=where, names=names[0][:40])
    elsewhere = next(
        (
            number
            for number, text in enumerate(texts, 1)
            if agree(text.replace("-", "").upper(), query)
        ),
        None,
    )
    if elsewhere == 1 and found.replace("-", "") != query:
        return InputError(
            Message(
                "{row} is not the query: {count} of its residues are in lower case",
                row=row,
                count=len(texts[0]) - len(found),
            ),
            hint=Message(
                "lower case is an insertion beside the columns; write the query in upper case"
            ),
        )
    if elsewhere is not None and elsewhere > 1:
        return InputError(
            Message(
                "{row} is not the query, which stands in row {elsewhere} ({names})",
                row=row,
                elsewhere=elsewhere,
                names=names[elsewhere - 1][:40],
            ),
            hint=Message("put the query first and align the others to it"),
        )
    if found.replace("-", "") == query:
        return InputError(
            Message("{row} is not the query: it has gaps", row=row),
            hint=Message("only where all rows have one length can the columns be told from them"),
        )
    found = found.replace("-", "")
    return InputError(
        Message(
            "{row} is not the query: it has {count} residues, the query {number_of_query}{found}",
            row=row,
            count=len(found),
            number_of_query=len(query),
            found=first_difference(found, query),
        ),
        hint=Message("the first sequence of the file must be the one to fold, without gaps"),
    )
