"""One shard searched with MMseqs2 by one or more queries, in one call of each of its programs.

Reference: Mirdita et al. 2022, Nat. Methods 19, 679; colabfold/mmseqs/search.py,
`mmseqs_search_monomer` with filters on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from itda.errors import DataError
from itda.language import Message
from itda.progress import Progress
from itda.search.mmseqs import run_mmseqs
from itda.search.mmseqs_entries import Entries, write_entries
from itda.search.sources.rows import FoundRow

# Of the alignment with the final profile, before the filters.
ALIGN_E_VALUE = 10.0

_FILTER_HITS = ("--qid", "0", "--qsc", "0.8", "--diff", "0", "--max-seq-id", "1.0")
_FILTER_ROWS = (
    *("--filter-msa", "1", "--filter-min-enable", "1000", "--diff", "3000"),
    *("--qid", "0.0,0.2,0.4,0.6,0.8,1.0", "--qsc", "0", "--max-seq-id", "0.95"),
)
_EXPAND = ("--expansion-mode", "0", "-e", "inf", "--expand-filter-clusters", "1")
# Parts of the time that a shard takes.
_SEARCH_PART, _ALIGN_PART = 0.9, 0.05
_FIRST_ROUND = ("prefilter", "align")
_ROUND = ("result2profile", "prefilter", "subtractdbs", "align", "mergedbs")
# `Parameters::DBTYPE_AMINO_ACIDS` as `createdb` takes it: a peptide of A, C, G and T is no gene.
_AMINO_ACIDS = ("--dbtype", "1")

Told = Callable[[float, float, str], Progress]


@dataclass(frozen=True)
class ShardSettings:
    """How a shard is searched; see `MmseqsSource`."""

    threads: int
    sensitivity: float
    iterations: int
    e_value: float
    maximum_targets: int
    gpu: bool


@dataclass(frozen=True)
class ShardSearch:
    """A search of one shard in an empty folder.

    Attributes:
        target: The shard's MMseqs2 database.
        settings: How it is searched.
        share: Its part of the whole database, whose E-values are told.
        scratch: The folder.
        told: Gives what tells the progress of a part of it.
    """

    target: Path
    settings: ShardSettings
    share: float
    scratch: Path
    told: Told

    def run(
        self, queries: Sequence[str], profiles: Sequence[bytes] | None
    ) -> Iterator[tuple[list[FoundRow], bytes]]:
        """Search with sequences, or with the profiles that a search of another shard ended with.

        Args:
            queries: One-letter protein sequences.
            profiles: Of each query; None for the first shard.

        Yields:
            Of each query, the best rows first, and the profile that the last iteration searched
            with. All programs have ended before the first.

        Raises:
            DataError: A program failed, or left out a query.
        """
        self._search(queries, profiles)
        rows, headers = (Entries(self.scratch / name) for name in ("rows", "headers"))
        found_profiles = Entries(self.scratch / "profile")
        for number in range(len(queries)):
            try:
                found = list(_read_rows(rows.text(number), headers.text(number), self.share))
            except ValueError as error:
                raise DataError(
                    Message("mmseqs gave rows that cannot be read: {error}", error=error)
                ) from error
            yield found, found_profiles.kind + found_profiles.read(number)

    def _search(self, queries: Sequence[str], profiles: Sequence[bytes] | None) -> None:
        told, target, threads = self.told, self.target, self._threads
        with (self.scratch / "query.fasta").open("w", encoding="ascii") as stream:
            stream.writelines(f">{number}\n{query}\n" for number, query in enumerate(queries))
        self._run("createdb", "query.fasta", "query", *_AMINO_ACIDS, "--shuffle", "0")
        if len(Entries(self.scratch / "query")) != len(queries):
            raise DataError(Message("mmseqs createdb left out a query"))
        start = "query"
        if profiles is not None:
            start = "start"
            kind = profiles[0][:_KIND_BYTES]
            entries = (profile[_KIND_BYTES:] for profile in profiles)
            write_entries(self.scratch / start, entries, kind)
            self._run("lndb", "query_h", "start_h")
        self._run(
            *("search", start, target, "found", "temporary", *self._search_options()),
            progress=told(0.0, _SEARCH_PART, "profile search"),
            modules=(*_FIRST_ROUND, *_ROUND * (self.settings.iterations - 1)),
        )
        # The profile that the last iteration searched with.
        last = f"temporary/latest/profile_{self.settings.iterations - 2}"
        self._run("mvdb", last, "profile")
        self._run("lndb", "query_h", "profile_h")
        hits = "found"
        clustered, members = Path(f"{target}_seq"), Path(f"{target}_aln")
        if Path(f"{clustered}.dbtype").exists() and Path(f"{members}.dbtype").exists():
            self._run(
                *("expandaln", "query", clustered, hits, members, "expanded", *_EXPAND),
                *("--max-seq-id", "0.95", *threads),
            )
            target, hits = clustered, "expanded"
        self._run(
            *("align", "profile", target, hits, "aligned", "-e", self._limit(ALIGN_E_VALUE)),
            *("--max-accept", "100000", "--alt-ali", "10", "-a", *threads),
            progress=told(_SEARCH_PART, _ALIGN_PART, "alignment"),
        )
        self._run(
            *("filterresult", "query", target, "aligned", "filtered", *_FILTER_HITS),
            *("--filter-min-enable", "100", *threads),
        )
        self._run(
            *("result2msa", "query", target, "filtered", "rows", "--msa-format-mode", "6"),
            *(*_FILTER_ROWS, *threads),
            progress=told(_SEARCH_PART + _ALIGN_PART, _ALIGN_PART, "rows"),
        )
        self._run(
            *("convertalis", "query", target, "filtered", "headers", "--db-output", "1"),
            *("--format-output", "target,theader", *threads),
        )

    def _run(
        self,
        *arguments: object,
        progress: Progress | None = None,
        modules: Sequence[str] = (),
    ) -> None:
        run_mmseqs(
            [str(argument) for argument in arguments],
            progress=progress or self.told(0.0, 0.0, str(arguments[0])),
            modules=modules,
            folder=self.scratch,
        )

    def _search_options(self) -> tuple[str, ...]:
        settings = self.settings
        index = Path(f"{self.target}.idx.dbtype").exists()
        limit = self._limit(settings.e_value)
        return (
            *("--num-iterations", str(settings.iterations), "-a", "-e", limit),
            *("--e-profile", limit, "--max-seqs", str(settings.maximum_targets)),
            *("--db-load-mode", "2" if index else "0"),
            *(
                ("--gpu", "1", "--prefilter-mode", "1")
                if settings.gpu
                else ("--prefilter-mode", "0", "-s", f"{settings.sensitivity:.1f}")
            ),
            *self._threads,
        )

    @property
    def _threads(self) -> tuple[str, ...]:
        return ("--threads", str(self.settings.threads))

    def _limit(self, e_value: float) -> str:
        return f"{e_value * self.share:.6g}"


_KIND_BYTES = 4


def _read_rows(rows: str, headers: str, share: float) -> Iterator[FoundRow]:
    """Read A3M whose headers are identifier, bits, identity, E-value and six places."""
    named = dict(line.split("\t", 1) for line in headers.split("\n")[:-1])
    for record in rows.split("\n>")[1:]:
        head, text = record.split("\n", 1)
        identifier, _, _, e_value, *_ = head.split("\t")
        name = named.get(identifier, identifier).strip()
        yield FoundRow(float(e_value) / share, text.strip().replace("\n", ""), name)
