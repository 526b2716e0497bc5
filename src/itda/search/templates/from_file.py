"""A template that a job gives as a file."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int32

from itda.errors import InputError
from itda.job.entities import TemplateFile
from itda.language import Message
from itda.search.templates.pairing import (
    SequencePairs,
    align_sequences,
    is_alike,
    pair_identity,
)
from itda.search.templates.selection import TemplateLimits, whole_identity
from itda.search.templates.template import Template
from itda.structure.chains.chain import CA_INDEX, Chain
from itda.structure.chains.structures import StructureFilters, read_structures
from itda.structure.files import open_structure
from itda.structure.residues import Residues

_ANY_CHAIN = StructureFilters(
    max_resolution_angstrom=math.inf, min_length=1, max_length=2**31, min_completeness=0.0
)

_log = logging.getLogger(__name__)


def read_template(file: TemplateFile, query: str) -> Template:
    """Read the template of a job and lay it along the query.

    Where the job gives no positions the sequences are aligned (BLOSUM62, free ends, gaps where the
    template is broken). Positions
    count along the polymer's whole sequence where the file numbers it (`label_seq_id` of mmCIF), as
    AlphaFold 3 does, and along the residues that have coordinates where it does not (PDB).

    Args:
        file: Path, chain and positions from the job.
        query: Sequence of the entity that the template is given to.

    Raises:
        InputError: The file cannot be read, has no such chain, several chains and none is named, no
            such position, or pairs that cross; or nothing of it lies along the query.
    """
    path = Path(file.path)
    name, chain = _choose_chain(path, file.chain)
    where = Message("template {path}, chain {name}", path=path, name=name)
    if file.query_positions_1based is None or file.template_positions_1based is None:
        pairs = align_sequences(query, chain.sequence, chain.residue_index)
    else:
        pairs = _given_pairs(
            query, chain, path, name, file.query_positions_1based, file.template_positions_1based
        )
    if not chain.atom_mask[pairs.template_index, CA_INDEX].any():
        raise InputError(
            Message("{where}: no residue of it with coordinates lies along the query", where=where),
            hint=Message("name another chain, or check the positions"),
        )
    return Template(
        name=chain.id,
        sequence=chain.sequence,
        coordinates=chain.coordinates,
        atom_mask=chain.atom_mask,
        query_index=pairs.query_index,
        template_index=pairs.template_index,
        identity=pairs.identity,
        release_date=chain.release_date,
        source=str(path),
    )


def notes_on(
    template: Template, query: str, limits: TemplateLimits | None, *, aligned: bool
) -> list[str]:
    """Say what a user should know of a template of their own.

    Args:
        template: What `read_template` gave.
        query: What it was laid along.
        limits: What is asked of templates that are searched; None where none are.
        aligned: Whether it was aligned, rather than laid as the job says.
    """
    where = Message("template {file}, {name}", file=Path(template.source).name, name=template.name)
    notes: list[str] = []
    pairs = len(template.query_index)
    if aligned and not is_alike(template.identity, pairs, len(query)):
        notes.append(
            Message(
                "{where}: {identical:.0f} of {pairs} paired residues are equal; is it the right "
                "chain?",
                where=where,
                identical=template.identity * pairs,
                pairs=pairs,
            )
        )
    if limits is None:
        return notes
    if limits.max_identity is not None:
        identity = max(template.identity, whole_identity(query, template.sequence))
        if identity > limits.max_identity:
            notes.append(
                Message(
                    "{where}: is used as you name it, with {identity:.0%} identity; "
                    "{--max-template-identity:{limit}} holds for what is searched",
                    where=where,
                    identity=identity,
                    limit=limits.max_identity,
                )
            )
    if limits.max_date is not None and not (
        template.release_date and template.release_date <= limits.max_date.isoformat()
    ):
        notes.append(
            Message(
                "{where}: is used as you name it, {released}; {--max-template-date:{limit}} holds "
                "for what is searched",
                where=where,
                released=Message("released {date}", date=template.release_date)
                if template.release_date
                else Message("of unknown release date"),
                limit=limits.max_date,
            )
        )
    return notes


def protein_chains(path: Path) -> dict[str, Chain]:
    """Read the protein chains of a structure by their names, in its order.

    Raises:
        InputError: The file cannot be read, or has none.
    """
    chains: dict[str, Chain] = {}
    for item in read_structures([path], _ANY_CHAIN):
        if isinstance(item, Chain):
            chains[item.id.removeprefix(f"{path.name.split('.')[0]}_")] = item
        elif not item.id:
            raise InputError(
                Message("template {reason}", reason=item.reason),
                hint=Message("give an mmCIF, BinaryCIF or PDB file"),
            )
    if not chains:
        raise InputError(
            Message("template {path} has no protein chain", path=path),
            hint=Message("give another structure"),
        )
    return chains


def _choose_chain(path: Path, wanted: str | None) -> tuple[str, Chain]:
    chains = protein_chains(path)
    names = ", ".join(chains)
    if wanted is None and len(chains) > 1:
        raise InputError(
            Message("template {path} has several protein chains: {names}", path=path, names=names),
            hint=Message("name one of them, such as `chain: {value}`", value=next(iter(chains))),
        )
    name = next(iter(chains)) if wanted is None else wanted
    return name, chain_of(path, chains, name)


def chain_of(path: Path, chains: Mapping[str, Chain], name: str) -> Chain:
    """Return the chain of a name.

    Raises:
        InputError: There is none.
    """
    if name not in chains:
        raise InputError(
            Message("template {path} has no protein chain {name!r}", path=path, name=name),
            hint=Message("its protein chains: {names}", names=", ".join(chains)),
        )
    return chains[name]


def _given_pairs(
    query: str,
    chain: Chain,
    path: Path,
    name: str,
    query_positions: Sequence[int],
    template_positions: Sequence[int],
) -> SequencePairs:
    where = Message("template {path}, chain {name}", path=path, name=name)
    positions = _positions(path, name, len(chain))
    index_of = {int(position): index for index, position in enumerate(positions)}
    pairs = sorted(zip(query_positions, template_positions, strict=True))
    for side, values in (("query", [q for q, _ in pairs]), ("template", [t for _, t in pairs])):
        for before, after in itertools.pairwise(values):
            if after <= before:
                raise InputError(
                    Message(
                        "{where}: {side} position {after} stands with or after {before}; "
                        "pairs must rise together, each residue once",
                        where=where,
                        side=side,
                        after=after,
                        before=before,
                    ),
                    hint=Message(
                        "leave out the pairs that cross, or give them as a second template"
                    ),
                )
    _check_range(where, query_positions, len(query), "query", "the sequence")
    if not _numbers_polymer(positions):
        _check_range(where, template_positions, len(chain), "template", "the chain")
    seen = [(first - 1, index_of[second]) for first, second in pairs if second in index_of]
    if len(seen) < len(pairs):
        lost = next(second for _, second in pairs if second not in index_of)
        _log.warning(
            "%s: %d of %d template positions have no coordinates, such as %d; left out",
            where,
            len(pairs) - len(seen),
            len(pairs),
            lost,
        )
    table = np.array(seen, np.int32).reshape(-1, 2)
    query_index, template_index = table[:, 0].copy(), table[:, 1].copy()
    identity = pair_identity(query, chain.sequence, query_index, template_index)
    return SequencePairs(query_index, template_index, identity)


def _positions(path: Path, name: str, length: int) -> Int32[np.ndarray, " residue"]:
    """Give the 1-based place of each residue of a chain in its polymer."""
    atoms = open_structure(path, hydrogens=False).atoms
    residues = Residues.from_atoms(atoms[atoms.chain_id == name])
    rows = np.flatnonzero(residues.peptide_mask)
    places = residues.polymer_numbers(rows)
    if places is not None and len(rows) == length:
        return np.asarray(places, np.int32)
    return np.arange(1, length + 1, dtype=np.int32)


def _numbers_polymer(positions: Int32[np.ndarray, " residue"]) -> bool:
    return bool((np.diff(positions, prepend=0) != 1).any())


def _check_range(
    where: str, positions: Sequence[int], length: int, side: str, sequence: str
) -> None:
    if max(positions, default=0) > length or min(positions, default=1) < 1:
        wrong = next(position for position in positions if not 1 <= position <= length)
        raise InputError(
            Message(
                "{where}: {side} position {wrong} is not in {sequence} of {length} residues",
                where=where,
                side=side,
                wrong=wrong,
                sequence=sequence,
                length=length,
            ),
            hint=Message("{side}_positions_1based count from 1", side=side),
        )
