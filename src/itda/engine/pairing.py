"""Rows of the chains of a job that belong together: as they are given, or made by species."""

from __future__ import annotations

import io
import json
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Int32

from itda.engine.codec_evidence import alignment_key
from itda.engine.events import Event, JobWarned
from itda.engine.stages import Codec, Stage, Stages
from itda.job.entities import Protein
from itda.job.fields import NO_ALIGNMENT
from itda.job.model import Job
from itda.language import Message, counted
from itda.progress import Progress
from itda.search.alignments.alignment import Alignment
from itda.search.alignments.formats import parse_alignment, read_alignment
from itda.search.alignments.pairing import (
    PairedAlignment,
    assemble,
    matchable,
    pair,
    pair_by_position,
)
from itda.search.evidence import ChainEvidence
from itda.store.store import digest_of

PAIRING = Stage("pairing", 1)

PROVENANCE = ("paired_rows", "paired_source")
"""Names under which the provenance of a result says where its paired rows came from."""


@dataclass(frozen=True)
class Paired:
    """What is paired of a job.

    Attributes:
        rows: None where there are none.
        key: What a prediction depends on, as JSON values.
        provenance: Where they came from.
        cached: Whether nothing had to be computed.
    """

    rows: PairedAlignment | None = None
    key: Mapping[str, object] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    cached: bool = True


def pair_chains(
    job: Job, chains: Mapping[str, ChainEvidence], stages: Stages
) -> Generator[Event, None, Paired]:
    """Read the paired rows that a job brings, else pair those of its alignments by species.

    A job that brings some for any chain has none made; a chain without them has gaps. None are made
    for a chain that says `paired_msa: none`, nor for one whose relatives do not say their species
    as those of the others do, of which a warning is given; nor where fewer than two different
    chains are left.

    Args:
        job: What is to be folded.
        chains: What is known of each chain.
        stages: Runs and keeps what is made.

    Raises:
        InputError: Given rows cannot be read, or two chains have different numbers of them.
    """
    proteins = [entity for entity in job.entities if isinstance(entity, Protein)]
    if any(protein.paired_msa for protein in proteins):
        return (yield from _given(job, proteins, stages))
    return (yield from _made(job, proteins, chains, stages))


def _given(job: Job, proteins: Iterable[Protein], stages: Stages) -> Generator[Event, None, Paired]:
    given = {protein.ids[0]: protein.paired_msa or None for protein in proteins}
    queries = {protein.ids[0]: protein.sequence for protein in proteins}
    notes: list[str] = []

    def read(_progress: Progress) -> PairedAlignment:
        found: dict[str, Alignment | None] = dict.fromkeys(given)
        for chain, text in given.items():
            if text is not None:
                found[chain] = alignment = _read(text, queries[chain], chain)
                where = text.name if isinstance(text, Path) else _where(chain)
                notes.extend(f"{where}: {note}" for note in alignment.notes)
        return pair_by_position(found, queries)

    rows = yield from stages.compute(job.name, PAIRING, read, describe_paired)
    for note in notes:
        yield JobWarned(job=job.name, message=note)
    names = [text.name if isinstance(text, Path) else "the job" for text in given.values() if text]
    return Paired(
        rows.with_copies({protein.ids[0]: protein.ids for protein in proteins}),
        {"rows": {chain: alignment_key(one) for chain, one in rows.paired.items()}},
        {"paired_source": ", ".join(dict.fromkeys(names)), "paired_rows": str(len(rows))},
    )


def _read(given: Path | str, query: str, chain: str) -> Alignment:
    if isinstance(given, Path):
        return read_alignment(given, query=query)
    return parse_alignment(given, query=query, where=_where(chain))


def _where(chain: str) -> str:
    return f"chain {chain}, paired_msa"


def _made(
    job: Job,
    proteins: Iterable[Protein],
    chains: Mapping[str, ChainEvidence],
    stages: Stages,
) -> Generator[Event, None, Paired]:
    alignments: dict[str, Alignment] = {}
    copies: dict[str, list[str]] = {}
    of_sequence: dict[str, str] = {}
    for protein in proteins:
        alignment = chains[protein.ids[0]].alignment
        if alignment is None or len(alignment) < 2 or protein.paired_msa == NO_ALIGNMENT:
            continue
        chain = of_sequence.setdefault(protein.sequence, protein.ids[0])
        alignments.setdefault(chain, alignment)
        copies.setdefault(chain, []).extend(protein.ids)
    if len(alignments) < 2:
        return Paired()
    alignments, left_out = matchable(alignments)
    for problem in left_out.values():
        message = Message("rows are not paired across chains: {problem}", problem=problem)
        yield JobWarned(job=job.name, message=message)
    if len(alignments) < 2:
        return Paired()
    # In their order, which is that of the columns; whatever the chains are called.
    keys = [alignment_key(alignment) for alignment in alignments.values()]

    def decode(files: Mapping[str, bytes]) -> PairedAlignment:
        rows, species = _unpacked(files)
        return assemble(alignments, rows, species)

    codec = Codec(_packed, decode, describe_paired)
    rows, cached = yield from stages.find_or_compute(
        job.name, PAIRING, {"alignments": keys}, lambda _progress: pair(alignments), codec
    )
    if len(rows) == 0:
        return Paired(cached=cached)
    return Paired(
        rows.with_copies(copies),
        {"rows": digest_of(rows.rows.tolist()), "species": digest_of(rows.species)},
        {"paired_source": "species", "paired_rows": str(len(rows))},
        cached,
    )


def describe_paired(paired: PairedAlignment) -> str:
    """Return how many rows are paired, for people."""
    return counted("{count} paired row", "{count} paired rows", len(paired))


def _packed(paired: PairedAlignment) -> dict[str, bytes]:
    buffer = io.BytesIO()
    np.save(buffer, paired.rows, allow_pickle=False)
    return {"rows.npy": buffer.getvalue(), "species.json": json.dumps(paired.species).encode()}


def _unpacked(
    files: Mapping[str, bytes],
) -> tuple[Int32[np.ndarray, "pair chain"], tuple[str, ...]]:
    rows = np.load(io.BytesIO(files["rows.npy"]), allow_pickle=False)
    return rows, tuple(json.loads(files["species.json"]))
