"""Alignments of a query with the chains of a structure database."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int32

from itda.errors import DataError
from itda.language import Message
from itda.search.templates.pairing import pair_identity
from itda.structure.chains.known import ChainSequences

MMSEQS_COLUMNS = "query,theader,evalue,bits,qstart,qend,tstart,tend,cigar"
"""What `read_mmseqs_hits` reads: `mmseqs convertalis --format-output`."""

_CIGAR_STEP = re.compile(r"(\d+)([MID])")
_CIGAR = re.compile(r"(\d+[MID])+")


@dataclass(frozen=True)
class TemplateHit:
    """One alignment of the query with a chain of the database.

    Attributes:
        chain: Index of the chain in the database's dataset.
        name: Its id, such as `1ubq_A`.
        e_value: Expected number of chance hits as good as this one in the whole database.
        bits: Score in bits.
        identity: Identical residues over paired ones, 0..1; X is like nothing.
        query_index: Paired residues of the query, 0-based, rising.
        template_index: Their partners in the chain, 0-based, rising.
    """

    chain: int
    name: str
    e_value: float
    bits: float
    identity: float
    query_index: Int32[np.ndarray, " pair"] = field(repr=False)
    template_index: Int32[np.ndarray, " pair"] = field(repr=False)

    @property
    def pairs(self) -> int:
        """How many residues are paired."""
        return len(self.query_index)

    @property
    def rank(self) -> tuple[float, float, int]:
        """What hits are sorted by: E-value, then score, then storage order."""
        return self.e_value, -self.bits, self.chain


def chain_of_header(header: str, chains: ChainSequences) -> tuple[int, str]:
    """Find the chain that a FASTA header names: the whole header, else its first word.

    Returns:
        Its index in the dataset and its id.

    Raises:
        DataError: There is no such chain.
    """
    name = header if header in chains else (header.split() or [""])[0]
    return chains.index_of(name), name


def pair_by_cigar(
    cigar: str, query_start: int, template_start: int
) -> tuple[Int32[np.ndarray, " pair"], Int32[np.ndarray, " pair"], int, int]:
    """Turn a CIGAR string into paired residues.

    `M` pairs a residue of each, `I` is a residue of the query without a partner and `D` one of the
    template, as `mmseqs convertalis` writes them.

    Args:
        cigar: Such as `10M3I60M`.
        query_start: The first residue of the query, 0-based.
        template_start: The first residue of the template, 0-based.

    Returns:
        Paired residues of the query and of the template, 0-based and rising, and the residue after
        the alignment's last in each.

    Raises:
        DataError: The string is no CIGAR of M, I and D.
    """
    if not _CIGAR.fullmatch(cigar):
        raise DataError(Message("{cigar!r} is not a CIGAR string of M, I and D", cigar=cigar[:40]))
    query, template = query_start, template_start
    query_parts, template_parts = [], []
    for count, step in _CIGAR_STEP.findall(cigar):
        length = int(count)
        if step == "M":
            query_parts.append(np.arange(query, query + length, dtype=np.int32))
            template_parts.append(np.arange(template, template + length, dtype=np.int32))
        query += length if step in "MI" else 0
        template += length if step in "MD" else 0
    nothing = np.zeros(0, np.int32)
    return (
        np.concatenate([nothing, *query_parts]),
        np.concatenate([nothing, *template_parts]),
        query,
        template,
    )


def read_mmseqs_hits(
    lines: Iterable[str],
    queries: dict[str, str],
    chains: ChainSequences,
    *,
    e_value_scale: float = 1.0,
    where: str,
) -> Iterator[tuple[str, TemplateHit]]:
    """Read a table of `MMSEQS_COLUMNS`.

    Args:
        lines: The table's lines.
        queries: Sequence of each query by its name in the table.
        chains: What the table's targets name.
        e_value_scale: What E-values are multiplied by: residues of the whole database over those of
            the part of it that was searched.
        where: Name of the table, for errors.

    Yields:
        Name of the query, and the hit.

    Raises:
        DataError: A line is broken, or does not fit the sequences that it names.
    """
    for number, line in enumerate(lines, start=1):
        try:
            name, header, e_value, bits, *bounds, cigar = line.rstrip("\n").split("\t")
            query_start, query_end, template_start, template_end = map(int, bounds)
            query = queries[name]
            query_index, template_index, query_stop, template_stop = pair_by_cigar(
                cigar, query_start - 1, template_start - 1
            )
            chain, chain_id = chain_of_header(header, chains)
            if (query_stop, template_stop) != (query_end, template_end):
                raise DataError(Message("its CIGAR string does not span its bounds"))
            template = chains.sequence(chain)
            if query_stop > len(query) or template_stop > len(template):
                raise DataError(Message("it reaches beyond a sequence"))
            hit = TemplateHit(
                chain=chain,
                name=chain_id,
                e_value=float(e_value) * e_value_scale,
                bits=float(bits),
                identity=pair_identity(query, template, query_index, template_index),
                query_index=query_index,
                template_index=template_index,
            )
        except (ValueError, KeyError, DataError) as error:
            problem = error.problem if isinstance(error, DataError) else str(error)
            raise DataError(
                Message(
                    "{where}: line {number} is no hit of this database: {problem}",
                    where=where,
                    number=number,
                    problem=problem,
                ),
                hint=Message("the database was changed or is damaged: `itda db check` tells"),
            ) from error
        yield name, hit
