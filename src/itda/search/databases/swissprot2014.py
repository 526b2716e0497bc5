"""Swiss-Prot of January 2014 as Debian's metastudent-data has it: 516,371 sequences, no network.

The package (GPL-2+) carries three BLAST databases of the Swiss-Prot entries that have terms of the
Gene Ontology: biological process, molecular function, cellular component. An entry is in up to
three of them, always with the same sequence. Headers are an accession and its terms; the terms are
left out, and no species is known.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from itda.debian import fetch_package, unpack
from itda.errors import DataError, InputError
from itda.language import Message
from itda.progress import Progress
from itda.search.databases.blast_version4 import SUFFIXES, BlastDatabase
from itda.search.databases.sources import OpenedFasta
from itda.storage import file_digest

NAME = "swissprot-2014"
PACKAGE = "metastudent-data"
SEQUENCES = 516_371
"""Of metastudent-data 2.0.1, all entries once."""

_FOLDER = "usr/share/metastudent-data/dataset_201401"
_DATABASES = {"BPO": 486_000, "MFO": 459_503, "CCO": 392_822}
_STEM = "goasp.fasta"
_HINT = Message(
    "fetch the package from https://packages.debian.org/metastudent-data (225 MB) and give its file"
)


@dataclass(frozen=True)
class SwissProt2014:
    """The package's sequences, each accession once.

    Attributes:
        package: Its file; fetched with `apt-get download` where it is None.
        any_count: Whether other counts than those of release 2.0.1 pass.
    """

    package: Path | None = None
    any_count: bool = False

    @contextmanager
    def open(self, work: Path, progress: Progress) -> Iterator[OpenedFasta]:
        """Open; see `FastaSource`.

        Raises:
            DataError: It is another package, or damaged.
            InputError: It has other counts.
            DependencyError: There is no apt, or nothing that reads the package's compression.
        """
        with tempfile.TemporaryDirectory(prefix=".unpacked-", dir=work) as name:
            folder = Path(name)
            path = self.package
            if path is None:
                progress(0.0, f"fetching {PACKAGE}")
                path = fetch_package(PACKAGE, folder, hint=_HINT)
            progress(0.0, f"unpacking {path.name}")
            wanted = [
                f"{_FOLDER}/{one}/{_STEM}{suffix}" for one in _DATABASES for suffix in SUFFIXES
            ]
            unpack(path, folder, wanted, hint=_HINT)
            progress(0.2, f"reading {path.name}")
            fasta = folder / "sequences.fasta"
            counts = _write(folder / _FOLDER, fasta)
            if not self.any_count:
                _check(path, counts)
            facts = {
                "name": str(path.absolute()) if self.package is not None else path.name,
                "bytes": path.stat().st_size,
                "sha256": file_digest(path),
            }
            source = {
                "name": f"{PACKAGE}, Swiss-Prot of January 2014",
                "licence": "GPL-2+",
                "counts": counts,
                "files": [facts],
            }
            yield OpenedFasta([fasta], source, begin=0.4)


def _write(folder: Path, fasta: Path) -> dict[str, int]:
    """Write each accession once; gives the number of records of each database and of all."""
    # A digest of 8 bytes in place of half a million sequences: only mistakes are to be seen.
    known: dict[bytes, int] = {}
    counts = {}
    with fasta.open("wb") as out:
        for name in _DATABASES:
            database = BlastDatabase(folder / name / _STEM)
            counts[name] = database.count
            for record in database.records():
                accession = record.header.partition(b"|")[0].strip()
                mark = hash(record.sequence)
                before = known.setdefault(accession, mark)
                if before != mark or not accession:
                    raise DataError(
                        Message(
                            "{database}: {accession} has two sequences",
                            database=database.title,
                            accession=accession.decode("ascii", "replace"),
                        ),
                        hint=_HINT,
                    )
                if len(known) > counts.get("all", 0):
                    counts["all"] = len(known)
                    out.write(b">%b\n%b\n" % (accession, record.sequence))
    return counts


def _check(package: Path, counts: dict[str, int]) -> None:
    expected = {**_DATABASES, "all": SEQUENCES}
    differing = [name for name in expected if counts[name] != expected[name]]
    if differing:
        raise InputError(
            Message(
                "{package} has {count:,} sequences in {name}, not {expected:,} as "
                "metastudent-data 2.0.1",
                package=package,
                count=counts[differing[0]],
                name=differing[0],
                expected=expected[differing[0]],
            ),
            hint=Message("pass {--any-count} to take another release"),
        )
