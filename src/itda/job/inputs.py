"""Which files are jobs, where a folder holds files of many kinds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from itda.errors import ItdaError
from itda.inputs import Kind, stem
from itda.job.source import guess_format, open_source

ALIGNMENTS = (".a3m", ".a2m", ".sto", ".stk", ".stockholm", ".afa", ".aln", ".clustal")
"""Endings of files that hold an alignment; `.fasta` may hold one, and is sequences here."""

_FASTA = (".fasta", ".fas", ".faa", ".fa", ".fna", ".ffn")
_OTHERS = (".csv", ".tsv", ".txt", ".seq", ".pir", ".gb", ".gbk", ".gp", ".embl")
_DOCUMENTS = (".yaml", ".yml", ".json")
_DOCUMENT_FORMS = ("yaml", "json")

# Of jobs in this form and in the forms of others, which are refused with a word on it.
_JOB_KEY = re.compile(r"""(^|[\s{,"'-])(entities|sequences|modelSeeds|queries)["']?\s*:""", re.M)
_NAME_KEY = re.compile(r"^name\s*:", re.M)
_VERSION_KEY = re.compile(r"^version\s*:", re.M)


def without_companions(paths: Iterable[Path]) -> list[Path]:
    """Leave out of a folder's files the alignments that belong to another of them by name.

    Args:
        paths: Files, such as all of a folder.

    Returns:
        What is an input of its own: `a.a3m` beside `a.fasta` is not.

    Example:
        >>> without_companions([Path("a.a3m"), Path("a.fasta"), Path("b.a3m")])
        [PosixPath('a.fasta'), PosixPath('b.a3m')]
    """
    every = list(paths)
    others = {(path.parent, stem(path)) for path in every if not _has_alignment_name(path)}
    return [
        path
        for path in every
        if not (_has_alignment_name(path) and (path.parent, stem(path)) in others)
    ]


def _has_alignment_name(path: Path) -> bool:
    return _without_gz(path.name).lower().endswith(ALIGNMENTS)


def _without_gz(name: str) -> str:
    return name[:-3] if name.lower().endswith(".gz") else name


def _why_no_job(path: Path) -> str:
    """Say why a file with the ending of an input is none: settings, results, notes, profiles."""
    suffix = Path(_without_gz(path.name)).suffix.lower()
    if suffix in _FASTA + ALIGNMENTS:
        return ""
    try:
        with open_source(path) as opened:
            head = opened.head.lstrip("\ufeff \t\r\n")
            if head.startswith(">"):
                return ""
            if suffix not in _DOCUMENTS:
                return "" if guess_format(opened) not in _DOCUMENT_FORMS else "no sequences"
    except ItdaError:
        # Of a file whose ending says what it is, it is said in its place what is wrong with it.
        return "" if suffix in _DOCUMENTS else "no sequences"
    slip = _NAME_KEY.search(head) and _VERSION_KEY.search(head)
    return "" if _JOB_KEY.search(head) or slip else "no job"


JOBS = Kind(
    "FASTA, YAML or JSON",
    (*_FASTA, *_DOCUMENTS, *_OTHERS, *ALIGNMENTS),
    why_not=_why_no_job,
    alone=without_companions,
    belongs="an alignment that belongs to the file of its name",
)
"""Sequences, jobs as YAML or JSON, and alignments that stand alone."""
