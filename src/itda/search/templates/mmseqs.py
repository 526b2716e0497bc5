"""Template search with MMseqs2: profile against the sequences of known structures.

Reference: Steinegger & Söding 2017, Nat. Biotechnol. 35, 1026; the search is that of ColabFold
(Mirdita et al. 2022, Nat. Methods 19, 679) with an exhaustive first stage where queries are few.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from itda.chem.residues import RESTYPES
from itda.errors import InputError
from itda.language import Message
from itda.progress import Progress, ignore_progress, part_of
from itda.search.alignments.alignment import ROW_LETTERS, Alignment
from itda.search.databases.database import Database
from itda.search.mmseqs import run_mmseqs
from itda.search.mmseqs_entries import Entries
from itda.search.templates.hits import MMSEQS_COLUMNS, TemplateHit, read_mmseqs_hits
from itda.search.templates.settings import SearchSettings

EXHAUSTIVE_QUERIES = 20
"""Up to so many queries skip the k-mer index of the database, which takes longer to build than they
take to be laid along every target, and needs eight times the memory or more."""

FOLDER_PREFIX = "templates-"


def align_many(
    queries: Sequence[str],
    database: Database,
    *,
    settings: SearchSettings | None = None,
    exhaustive: bool | None = None,
    threads: int = 1,
    work: Path | None = None,
    progress: Progress = ignore_progress,
) -> Generator[tuple[int, tuple[TemplateHit, ...]], None, None]:
    """Align many queries with the chains of a database, in one call of MMseqs2 for each shard.

    Args:
        queries: One-letter protein sequences.
        database: Where templates are looked for.
        settings: Parameters of the search.
        exhaustive: Whether each query is laid along each target without gaps before the best are
            aligned, instead of looking for k-mers: more hits, and with few queries faster. Unless
            told, up to `EXHAUSTIVE_QUERIES` queries are.
        threads: Processor cores to use.
        work: Folder for what lies between; a temporary one unless told. It needs space for the
            alignments of all queries.
        progress: Told the fraction done and the module at work, at least twice a second while
            MMseqs2 runs; what it raises stops the program.

    Yields:
        Index of each query, in order and without exception, and its hits, the best first.

    Raises:
        DependencyError: MMseqs2 is not installed.
        InputError: A query holds a letter that is no residue.
        DataError: MMseqs2 failed, or the database does not hold what its manifest says.
    """
    settings = settings or SearchSettings()
    if not queries:
        return
    for number, query in enumerate(queries):
        _check_query(query, f"query {number}")
    with _folder(work) as folder:
        fasta = folder / "queries.fasta"
        with fasta.open("w", encoding="ascii") as stream:
            stream.writelines(f">{number}\n{query}\n" for number, query in enumerate(queries))
        query_database = folder / "queries"
        run_mmseqs(
            [
                *("createdb", str(fasta), str(query_database), "--shuffle", "0", "-v", "1"),
                # A peptide of A, C, G and T is no gene.
                *("--dbtype", "1"),
            ]
        )
        if exhaustive is None:
            exhaustive = len(queries) <= EXHAUSTIVE_QUERIES
        tables = _search(query_database, database, folder, settings, exhaustive, threads, progress)
        yield from _merged(tables, queries, database, settings)


def search_with_profile(
    alignment: Alignment,
    query: str,
    database: Database,
    *,
    settings: SearchSettings,
    threads: int = 1,
    work: Path | None = None,
    progress: Progress = ignore_progress,
) -> tuple[TemplateHit, ...]:
    """Search with the profile of one alignment; see `search_with_profiles`."""
    ((_, hits),) = search_with_profiles(
        [alignment],
        [query],
        database,
        settings=settings,
        threads=threads,
        work=work,
        progress=progress,
    )
    return hits


def search_with_profiles(
    alignments: Sequence[Alignment],
    queries: Sequence[str],
    database: Database,
    *,
    settings: SearchSettings,
    threads: int = 1,
    work: Path | None = None,
    progress: Progress = ignore_progress,
) -> Generator[tuple[int, tuple[TemplateHit, ...]], None, None]:
    """Search with the profiles of alignments, whose row 0 is the query; insertions are unused.

    Args:
        alignments: Relatives of each query.
        queries: One-letter protein sequences.
        database: Where templates are looked for.
        settings: Parameters of the search; there is one round, whatever `iterations` says.
        threads: Processor cores to use.
        work: Folder for what lies between; a temporary one unless told.
        progress: As for `align_many`.

    Yields:
        Index of each query, in order and without exception, and its hits, the best first; each gets
        what it gets alone.

    Raises:
        DependencyError: MMseqs2 is not installed.
        InputError: A query holds a letter that is no residue, or is not as long as its alignment.
        DataError: MMseqs2 failed, or the database does not hold what its manifest says.
    """
    if not queries:
        return
    for number, (query, alignment) in enumerate(zip(queries, alignments, strict=True)):
        _check_query(query, "the query" if len(queries) == 1 else f"query {number}")
        if alignment.rows.shape[1] != len(query):
            raise InputError(
                Message(
                    "the alignment has {shape} columns, the query {count} residues",
                    shape=alignment.rows.shape[1],
                    count=len(query),
                ),
                hint=Message("give the alignment of this query"),
            )
    with _folder(work) as folder:
        stockholm = folder / "alignments.sto"
        _write_stockholm(stockholm, queries, alignments)
        aligned, profiles = folder / "alignments", folder / "profiles"
        run_mmseqs(["convertmsa", str(stockholm), str(aligned), "-v", "1"])
        run_mmseqs(
            [
                *("msa2profile", str(aligned), str(profiles), "--match-mode", "0"),
                *("--msa-type", "2", "--threads", str(threads), "-v", "1"),
            ],
            progress=lambda fraction, module: progress(0.0, module),
        )
        once = replace(settings, iterations=1)
        tables = _search(profiles, database, folder, once, True, threads, progress)
        yield from _merged(tables, queries, database, settings)


def _search(
    queries: Path,
    database: Database,
    folder: Path,
    settings: SearchSettings,
    exhaustive: bool,
    threads: int,
    progress: Progress,
) -> list[tuple[Path, float]]:
    """Search each shard and give its table with what its E-values are to be multiplied by."""
    database.require_mmseqs()
    first = "ungappedprefilter" if exhaustive else "prefilter"
    modules = [first, "align"]
    for _ in range(settings.iterations - 1):
        modules += ["result2profile", first, "subtractdbs", "align", "mergedbs"]
    tables = []
    count = len(database.shards)
    for number, shard in enumerate(database.shards):
        result, table = folder / f"result_{number}", folder / f"hits_{number}"
        temporary = folder / f"temporary_{number}"
        run_mmseqs(
            [
                *("search", str(queries), str(shard.mmseqs), str(result), str(temporary)),
                *("-a", "1", "-e", f"{settings.e_value:g}", "-s", f"{settings.sensitivity:g}"),
                *("--e-profile", f"{settings.inclusion_e_value:g}"),
                *("--num-iterations", str(settings.iterations)),
                *("--max-seqs", str(settings.max_hits)),
                *("--prefilter-mode", "1" if exhaustive else "0", "--threads", str(threads)),
            ],
            progress=part_of(progress, number / count, (number + 1) / count),
            modules=modules,
        )
        run_mmseqs(
            [
                *("convertalis", str(queries), str(shard.mmseqs), str(result), str(table)),
                *("--format-output", MMSEQS_COLUMNS, "--db-output", "1"),
                *("--threads", str(threads), "-v", "1"),
            ]
        )
        # Most of the disk that a search of many queries takes; the table is all that is read.
        shutil.rmtree(temporary, ignore_errors=True)
        tables.append((table, database.residues / max(shard.residues, 1)))
    return tables


def _merged(
    tables: Sequence[tuple[Path, float]],
    queries: Sequence[str],
    database: Database,
    settings: SearchSettings,
) -> Iterator[tuple[int, tuple[TemplateHit, ...]]]:
    """Read the shards' tables query by query, so that one query's hits are in memory at a time."""
    chains = database.chains()
    entries = [(Entries(table), scale) for table, scale in tables]
    for number, query in enumerate(queries):
        hits = [
            hit
            for table, scale in entries
            for _, hit in read_mmseqs_hits(
                table.text(number).splitlines(),
                # A table that names another query is not read as this one's.
                {str(number): query},
                chains,
                e_value_scale=scale,
                where="mmseqs convertalis",
            )
        ]
        kept = [hit for hit in hits if hit.e_value <= settings.e_value and hit.pairs]
        yield number, tuple(sorted(kept, key=lambda hit: hit.rank))


def _write_stockholm(path: Path, queries: Sequence[str], alignments: Sequence[Alignment]) -> None:
    with path.open("w", encoding="ascii") as stream:
        for name, (query, alignment) in enumerate(zip(queries, alignments, strict=True)):
            # The profile takes the name of the query in the table of hits.
            stream.write(f"# STOCKHOLM 1.0\n#=GF AC {name}\nquery {query}\n")
            for number, row in enumerate(alignment.rows[1:], start=1):
                stream.write(f"row{number} {''.join(ROW_LETTERS[code] for code in row)}\n")
            stream.write("//\n")


def _check_query(query: str, what: str) -> None:
    wrong = set(query) - set(RESTYPES + "X")
    if wrong or not query:
        raise InputError(
            Message("{what} holds {wrong!r}, which is no residue", what=what, wrong=min(wrong))
            if wrong
            else Message("{what} is empty", what=what),
            hint=Message(
                "the letters of a protein are {restypes} and X for an unknown residue",
                restypes=RESTYPES,
            ),
        )


@contextlib.contextmanager
def _folder(work: Path | None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX, dir=work) as name:
        yield Path(name)
