"""Which chains of a dataset resemble sequences that it must not have seen."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from itda.errors import DataError
from itda.language import Message
from itda.search.mmseqs import E_VALUE, search_sequences
from itda.structure.chains.dataset import ChainDataset

_STANDARD = set("ACDEFGHIKLMNPQRSTVWYX")


@dataclass(frozen=True)
class Leak:
    """A chain that resembles a sequence it should not.

    Attributes:
        chain: Id of the chain.
        target: Name of the sequence.
        identity: Identical residues over aligned columns, 0..1.
        chain_coverage: Part of the chain that is aligned, 0..1.
        target_coverage: Part of the sequence that is aligned, 0..1.
        e_value: Expected number of chance hits as good as this one.
    """

    chain: str
    target: str
    identity: float
    chain_coverage: float
    target_coverage: float
    e_value: float


def read_fasta(path: Path) -> dict[str, str]:
    """Read names and sequences; names are the first word of each header.

    Raises:
        DataError: The file cannot be read, is empty, or names a sequence twice.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            Message("{path} cannot be read: {error}", path=path, error=error),
            hint=Message("give a FASTA file"),
        ) from error
    sequences: dict[str, str] = {}
    name = ""
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text.startswith(">"):
            name = text[1:].split()[0] if text[1:].split() else f"sequence_{len(sequences) + 1}"
            if name in sequences:
                raise DataError(
                    Message(
                        "{path}: line {number}: {name} stands twice",
                        path=path,
                        number=number,
                        name=name,
                    )
                )
            sequences[name] = ""
        elif text:
            if not name:
                raise DataError(
                    Message(
                        "{path}: line {number} stands before the first '>'",
                        path=path,
                        number=number,
                    )
                )
            letters = text.upper().rstrip("*")
            sequences[name] += "".join(x if x in _STANDARD else "X" for x in letters)
    if not sequences or not all(sequences.values()):
        raise DataError(
            Message("{path} holds no sequence, or an empty one", path=path),
            hint=Message("give a FASTA file"),
        )
    return sequences


def find_leaks(
    dataset: ChainDataset, against: dict[str, str], *, identity: float, threads: int = 1
) -> list[Leak]:
    """Search all chains for those like any of the given sequences.

    Args:
        dataset: To be checked.
        against: Sequences by name.
        identity: The least identity that counts, 0..1, at an E-value of 0.001 or better.
        threads: Processor cores for MMseqs2.

    Returns:
        The best hit of each chain and sequence, worst offenders first.

    Raises:
        DependencyError: MMseqs2 is not installed.
    """
    names = list(against)
    hits = search_sequences(
        [against[name] for name in names],
        dataset.sequences,
        identity=identity,
        e_value=E_VALUE,
        threads=threads,
    )
    best: dict[tuple[str, str], Leak] = {}
    for hit in hits:
        leak = Leak(
            chain=dataset.ids[hit.target],
            target=names[hit.query],
            identity=hit.identity,
            chain_coverage=hit.target_coverage,
            target_coverage=hit.query_coverage,
            e_value=hit.e_value,
        )
        key = (leak.chain, leak.target)
        if key not in best or leak.identity > best[key].identity:
            best[key] = leak
    return sorted(best.values(), key=lambda leak: (-leak.identity, leak.chain, leak.target))


def write_leaks(path: Path, leaks: Sequence[Leak]) -> None:
    """Write one line a leak."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, delimiter="\t", lineterminator="\n")
        table.writerow(
            ("chain", "target", "identity", "chain_coverage", "target_coverage", "e_value")
        )
        for leak in leaks:
            table.writerow(
                (
                    leak.chain,
                    leak.target,
                    f"{leak.identity:.3f}",
                    f"{leak.chain_coverage:.3f}",
                    f"{leak.target_coverage:.3f}",
                    f"{leak.e_value:.2g}",
                )
            )


def remove_leaks(
    dataset: ChainDataset, leaks: Sequence[Leak], folder: Path, *, identity: float, overwrite: bool
) -> ChainDataset:
    """Write the dataset again without the chains that leak.

    Raises:
        OutputError: The folder cannot be written.
    """
    named = {leak.chain for leak in leaks}
    return ChainDataset.write(
        folder,
        (chain for chain in dataset if chain.id not in named),
        source=dataset.manifest["source"],
        parameters={
            **dataset.manifest.get("parameters", {}),
            "removed_for_leakage": sorted(named),
            "leakage_identity": identity,
        },
        overwrite=overwrite,
    )
