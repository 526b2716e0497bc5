"""Checks of a job against the Chemical Component Dictionary, which is read on first use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from itda.chem.dictionary import DictionaryEntry, dictionary_atoms, dictionary_entry
from itda.chem.residues import RESTYPE_1_TO_3
from itda.errors import InputError
from itda.job.entities import Ion, Ligand, Molecule, Polymer
from itda.job.letters import ALPHABETS
from itda.job.model import Job
from itda.job.problems import nearest, shown
from itda.language import Message

_LINKING = {"protein": "PEPTIDE", "dna": "DNA", "rna": "RNA"}
_STANDARD_CODES = {
    "protein": RESTYPE_1_TO_3,
    "dna": {"A": "DA", "C": "DC", "G": "DG", "T": "DT", "N": "DN"},
    "rna": {"A": "A", "C": "C", "G": "G", "U": "U", "N": "N"},
}


_MOST_BYTES = 4 * 2**20
"""Of a file of one's own definitions; one of the dictionary takes 9 kB."""


def check_components(job: Job) -> list[str]:
    """Check each CCD code and each atom that a bond or constraint names.

    Args:
        job: A job whose `components` file, if any, can be read.

    Returns:
        What is allowed but looks like a slip, such as a phosphoserine where the sequence has L.

    Raises:
        InputError: A code or atom is not known, or is not of the kind that the field needs.
    """
    own = _own_definitions(job.components) if job.components else {}
    warnings: list[str] = []
    for number, entity in enumerate(job.entities, 1):
        for field, code in entity.ccd_codes():
            where = Message(
                "entity {number} ({molecule}), {field}",
                number=number,
                molecule=entity.molecule,
                field=field,
            )
            _find_component(code, own, where)
            if isinstance(entity, Ion) and (count := len(_atoms(code, own))) != 1:
                raise InputError(
                    Message(
                        "{where}: {code} has {count} atoms and is no ion",
                        where=where,
                        code=code,
                        count=count,
                    ),
                    hint=Message("give it as a ligand"),
                )
        if isinstance(entity, Polymer):
            warnings += _check_modifications(
                entity,
                own,
                Message("entity {number} ({molecule})", number=number, molecule=entity.molecule),
            )
    chains = dict(job.chains)
    named = [
        (Message("bond {number}", number=number), atom.chain, atom.position_1based, atom.atom)
        for number, bond in enumerate(job.bonds, 1)
        for atom in bond
    ] + [
        (
            Message("constraint {number} ({kind})", number=number, kind=constraint.kind),
            token.chain,
            token.position_1based,
            token.atom,
        )
        for number, constraint in enumerate(job.constraints, 1)
        for token in constraint.tokens
        if token.atom is not None
    ]
    for where, chain, position, atom in named:
        code = _code_at(chains[chain], position)
        atoms = _atoms(code, own)
        if atom not in atoms and code != RESTYPE_1_TO_3["X"]:
            primed = atom.replace("*", "'")
            close = primed if primed in atoms else nearest(atom, atoms)
            raise InputError(
                Message(
                    "{where}: {code} at {chain} {position} has no atom {atom}",
                    where=where,
                    code=code,
                    chain=chain,
                    position=position,
                    atom=shown(atom),
                ),
                hint=Message("did you mean {close}?", close=close)
                if close
                else Message("its atoms: {atoms:,}", atoms=atoms[:30]),
            )
    return warnings


def own_heavy_atoms(job: Job) -> Mapping[str, int]:
    """Count the heavy atoms of each component that a job defines itself.

    None where its file cannot be read, which `check_components` says.
    """
    try:
        own = _own_definitions(job.components) if job.components else {}
    except InputError:
        return {}
    return {
        code: sum(not name.startswith(("H", "D")) for name in definition.atoms)
        for code, definition in own.items()
    }


def _check_modifications(entity: Polymer, own: Mapping[str, _Definition], where: str) -> list[str]:
    warnings: list[str] = []
    for number, modification in enumerate(entity.modifications, 1):
        field = Message("{where}, modification {number}", where=where, number=number)
        code, position = modification.ccd, modification.position_1based
        component = _find_component(code, own, field)
        if _LINKING[entity.molecule] not in component.link_type:
            raise InputError(
                Message(
                    "{field}: {code} ({link_type}) is not a residue of {molecule}",
                    field=field,
                    code=code,
                    link_type=component.link_type.lower(),
                    molecule=entity.molecule,
                ),
                hint=Message("give a residue of this polymer, or a ligand with a bond to it"),
            )
        letter = entity.sequence[position - 1]
        alphabet = ALPHABETS[entity.molecule]
        comparable = component.parent in alphabet.standard and letter != alphabet.unknown
        if component.parent and comparable and component.parent != letter:
            warnings.append(
                Message(
                    "{field}: {code} derives from {parent}, but position {position} of the "
                    "sequence is {letter}",
                    field=field,
                    code=code,
                    parent=component.parent,
                    position=position,
                    letter=letter,
                )
            )
    return warnings


def _code_at(entity: Molecule, position_1based: int) -> str:
    if isinstance(entity, Ion):
        return entity.ccd
    if isinstance(entity, Ligand):
        return entity.ccd[position_1based - 1]
    for modification in entity.modifications:
        if modification.position_1based == position_1based:
            return modification.ccd
    return _STANDARD_CODES[entity.molecule][entity.sequence[position_1based - 1]]


def _find_component(code: str, own: Mapping[str, _Definition], where: str) -> DictionaryEntry:
    component = own[code].component if code in own else dictionary_entry(code)
    if component is None:
        raise InputError(
            Message(
                "{where}: {code} is not in the Chemical Component Dictionary",
                where=where,
                code=shown(code),
            ),
            hint=Message(
                "look it up at https://www.ebi.ac.uk/pdbe-srv/pdbechem; a molecule of one's "
                "own is given as `smiles`, or defined in a file named in `components`"
            ),
        )
    if component.replaced_by:
        raise InputError(
            Message(
                "{where}: {code} is obsolete in the Chemical Component Dictionary",
                where=where,
                code=code,
            ),
            hint=Message("write {replaced_by}", replaced_by=component.replaced_by),
        )
    return component


def _atoms(code: str, own: Mapping[str, _Definition]) -> tuple[str, ...]:
    return own[code].atoms if code in own else dictionary_atoms(code)


@dataclass(frozen=True)
class _Definition:
    component: DictionaryEntry
    atoms: tuple[str, ...]


def _own_definitions(path: Path) -> Mapping[str, _Definition]:
    try:
        found = path.stat()
        definitions = _definitions(path, found.st_mtime_ns, found.st_size)
    except OSError as error:
        raise InputError(
            Message(
                "components: {path} cannot be read: {strerror}", path=path, strerror=error.strerror
            )
        ) from error
    if definitions is None:
        raise InputError(
            Message(
                "components: {path} holds too much: {most_bytes} MiB of definitions are "
                "read, some 450",
                path=path,
                most_bytes=_MOST_BYTES >> 20,
            ),
            hint=Message("leave those in that the job names"),
        )
    if not definitions:
        raise InputError(
            Message("components: {path} holds no chemical components as mmCIF", path=path),
            hint=Message(
                "each block needs the categories chem_comp and chem_comp_atom, as in the CCD"
            ),
        )
    return definitions


# Jobs of one input name the same file, good or bad.
@lru_cache(maxsize=4)
def _definitions(path: Path, _changed: int, size: int) -> Mapping[str, _Definition] | None:
    """Return the definitions of a file: none where it cannot be read, None where it is too much."""
    from itda.structure.cif_text import CifSyntaxError, read_document

    if size > _MOST_BYTES:
        return None
    try:
        document = read_document(path.read_bytes().decode())
    except (CifSyntaxError, UnicodeDecodeError):
        return {}
    found: dict[str, _Definition] = {}
    for block in document:
        found.update(_block_definitions(block))
    return found


def _block_definitions(block: Any) -> dict[str, _Definition]:
    """Read the components of a block that have atoms; one of the CCD has one."""
    from itda.structure.cif_text import values

    codes = values(block, "_chem_comp.id")
    columns = []
    for item in ("name", "type", "one_letter_code", "pdbx_replaced_by"):
        told = values(block, f"_chem_comp.{item}")
        columns.append(told if len(told) == len(codes) else [""] * len(codes))
    names = values(block, "_chem_comp_atom.atom_id")
    owners = values(block, "_chem_comp_atom.comp_id")
    if len(owners) != len(names):
        owners = codes[:1] * len(names)
    atoms: dict[str, list[str]] = {}
    for owner, name in zip(owners, names, strict=False):  # without a code, no owner
        atoms.setdefault(owner, []).append(name)
    return {
        code: _Definition(DictionaryEntry(name, kind.upper(), letter, newer), tuple(atoms[code]))
        for code, name, kind, letter, newer in zip(codes, *columns, strict=True)
        if code in atoms
    }
