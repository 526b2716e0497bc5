"""What can be folded: proteins, DNA, RNA, ligands and ions, each with its copies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    StrictInt,
    StrictStr,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from itda.errors import InputError
from itda.job.fields import (
    AlignmentInput,
    CcdCode,
    CcdCodes,
    ChainId,
    ChainIds,
    FilePath,
    Position,
    ResidueNumber,
    parse_residue_number,
)
from itda.job.keyed import Keyed
from itda.job.letters import ALPHABETS
from itda.job.problems import Strict, field_problem, first_repeated, shown
from itda.language import Message


class _Entity(Strict):
    """One molecule and its copies."""

    molecule: str
    ids: ChainIds = Field(default=(), alias="id")
    """Chain id, or a list with one id for each copy; a job gives A, B, … where it is left out."""

    @field_validator("ids")
    @classmethod
    def _refuse_repeated_ids(cls, ids: tuple[str, ...]) -> tuple[str, ...]:
        if repeated := first_repeated(ids):
            raise field_problem(
                Message("{repeated} stands twice", repeated=shown(repeated)),
                Message("give each copy its own id"),
            )
        return ids

    @model_serializer(mode="wrap")
    def _under_its_molecule(self, serialize: SerializerFunctionWrapHandler) -> dict[str, object]:
        body = serialize(self)
        body.pop("molecule", None)
        ids = {key: body.pop(key) for key in ("id", "ids") if key in body}
        return {self.molecule: ids | body}

    def files(self) -> Iterator[tuple[str, Path]]:
        """Each file that this entity names, with the field that names it."""
        return iter(())

    def inputs(self) -> Iterator[tuple[str, str]]:
        """Each input that this entity brings beside its molecule: the field, and its kind.

        Kinds are those of `Capabilities.inputs`.
        """
        return iter(())

    def ccd_codes(self) -> Iterator[tuple[str, str]]:
        """Each CCD code that this entity names, with the field that names it."""
        return iter(())


class Modification(Strict):
    """A residue that is not one of the standard ones, by its CCD code."""

    position_1based: Position
    """Its place in the sequence, counted from 1."""

    ccd: CcdCode
    """Code in the Chemical Component Dictionary, such as SEP."""


class TemplateFile(Strict):
    """A structure to fold after. Without the two lists of positions its sequence is aligned."""

    path: FilePath
    """mmCIF, BinaryCIF or PDB file, relative to the job file."""

    chain: ChainId | None = None
    """Chain of that file; may be left out where it has one."""

    query_positions_1based: tuple[Position, ...] | None = None
    """Residues of the entity that have a partner in the template."""

    template_positions_1based: tuple[Position, ...] | None = None
    """The partners in the same order, counted along the template chain's sequence."""

    @property
    def is_to_be_aligned(self) -> bool:
        """Whether nobody says which residues are partners."""
        return self.query_positions_1based is None

    @model_validator(mode="after")
    def _pair_positions(self) -> Self:
        query, template = self.query_positions_1based, self.template_positions_1based
        if (query is None) != (template is None) or len(query or ()) != len(template or ()):
            raise field_problem(
                Message(
                    "query_positions_1based and template_positions_1based are not of one length"
                ),
                Message("give both, one partner for each residue, or neither"),
            )
        return self


def _template_form(value: Any) -> Any:
    """Let a path stand for a template of that file, and one template for a list of it."""
    one = isinstance(value, str | Path | Mapping | TemplateFile)
    items = [value] if one else value
    if not isinstance(items, list | tuple):
        return value
    return [{"path": item} if isinstance(item, str | Path) else item for item in items]


def _numbering_form(value: Any) -> Any:
    items = value if isinstance(value, list | tuple) else [value]
    if (
        value is not None and not all(isinstance(item, str) or type(item) is int for item in items)
    ) or isinstance(value, str):
        raise field_problem(
            Message("must be a whole number or a list of them, not {shown}", shown=shown(value)),
            Message("give the first number alone, or one for each residue such as [52, 52A, 53]"),
        )
    return value


class _Polymer(_Entity):
    """A chain of residues."""

    sequence: StrictStr
    """One letter a residue, X (N in DNA, RNA) an unknown one; modified ones keep their parent's."""

    modifications: tuple[Modification, ...] = ()
    """Residues that are not standard ones."""

    numbering: Annotated[
        StrictInt | tuple[StrictInt | StrictStr, ...] | None, BeforeValidator(_numbering_form)
    ] = None
    """Number of the first residue, or one for each, such as 52 or "52A"; from 1 if left out."""

    @model_validator(mode="after")
    def _check_against_sequence(self) -> Self:
        self._check_letters()
        positions = [modification.position_1based for modification in self.modifications]
        if max(positions, default=0) > self.length:
            raise field_problem(
                Message(
                    "modification at position {positions}, but the sequence has {length} residues",
                    positions=max(positions),
                    length=self.length,
                ),
                Message("positions count from 1 along the sequence"),
            )
        if repeated := first_repeated(positions):
            raise field_problem(
                Message("two modifications at position {repeated}", repeated=repeated),
                Message("give one CCD code for both"),
            )
        if isinstance(self.numbering, tuple):
            self._check_numbering(self.numbering)
        return self

    def _check_letters(self) -> None:
        alphabet = ALPHABETS[self.molecule]
        if not alphabet.accepts(self.sequence):
            wrong = re.search(f"[^{alphabet.standard}{alphabet.unknown}]", self.sequence)
            raise field_problem(
                Message(
                    "sequence has {wrong} at position {wrong_2}",
                    wrong=shown(wrong.group()),
                    wrong_2=wrong.start() + 1,
                )
                if wrong
                else Message("sequence is empty"),
                Message(
                    "the letters of {molecule} are {standard} and {unknown} for an unknown residue",
                    molecule=alphabet.molecule,
                    standard=alphabet.standard,
                    unknown=alphabet.unknown,
                ),
            )

    def _check_numbering(self, numbering: tuple[int | str, ...]) -> None:
        if len(numbering) != len(self.sequence):
            raise field_problem(
                Message(
                    "numbering has {count} numbers for {number_of_sequence} residues",
                    count=len(numbering),
                    number_of_sequence=len(self.sequence),
                ),
                Message("give one number for each residue, or the first number alone"),
            )
        try:
            numbers = [parse_residue_number(number) for number in numbering]
        except InputError as error:
            raise field_problem(
                Message("numbering: {problem}", problem=error.problem), error.hint
            ) from error
        if repeated := first_repeated(numbers):
            raise field_problem(
                Message(
                    "numbering has {number}{insertion_code} twice",
                    number=repeated.number,
                    insertion_code=repeated.insertion_code,
                ),
                Message("give each residue its own number, with an insertion code where needed"),
            )

    @property
    def length(self) -> int:
        """Residues in one copy."""
        return len(self.sequence)

    def residue_numbers(self) -> tuple[ResidueNumber, ...]:
        """The number of each residue, for the files that go out."""
        if isinstance(self.numbering, tuple):
            return tuple(parse_residue_number(number) for number in self.numbering)
        first = 1 if self.numbering is None else self.numbering
        return tuple(ResidueNumber(first + index, "") for index in range(self.length))

    def ccd_codes(self) -> Iterator[tuple[str, str]]:
        """Each CCD code that this entity names, with the field that names it."""
        for number, modification in enumerate(self.modifications, 1):
            yield f"modification {number}, ccd", modification.ccd


class Protein(_Polymer):
    """A protein chain."""

    molecule: SkipJsonSchema[Literal["protein"]] = "protein"
    msa: AlignmentInput | None = None
    """Alignment of this chain alone: a file, its text, or `none`; searched where left out."""

    paired_msa: AlignmentInput | None = None
    """Rows that pair with those of the other chains by position; made by species where left out."""

    profile: FilePath | None = None
    """Amino acid frequencies for each residue, relative to the job file."""

    templates: Annotated[
        tuple[TemplateFile, ...],
        BeforeValidator(_template_form, json_schema_input_type=tuple[str | TemplateFile, ...]),
    ] = ()
    """Structures to fold after; the path of a file alone is a template of its only chain."""

    @model_validator(mode="after")
    def _check_templates(self) -> Self:
        for number, template in enumerate(self.templates, 1):
            if max(template.query_positions_1based or (0,)) > self.length:
                raise field_problem(
                    Message(
                        "template {number} names a residue beyond the sequence's {length}",
                        number=number,
                        length=self.length,
                    ),
                    Message("query_positions_1based count from 1 along the sequence"),
                )
        return self

    def files(self) -> Iterator[tuple[str, Path]]:
        """Each file that this entity names, with the field that names it."""
        named = {"msa": self.msa, "paired_msa": self.paired_msa, "profile": self.profile}
        yield from ((field, path) for field, path in named.items() if isinstance(path, Path))
        for number, template in enumerate(self.templates, 1):
            yield f"template {number}, path", template.path

    def inputs(self) -> Iterator[tuple[str, str]]:
        """Each input that this entity brings beside its molecule: the field, and its kind."""
        named = {"msa": self.msa, "paired_msa": self.paired_msa, "profile": self.profile}
        yield from ((field, field) for field, given in named.items() if given)
        if self.templates:
            yield "template 1, path", "template"


class Dna(_Polymer):
    """One strand of DNA; the other strand is an entity of its own."""

    molecule: SkipJsonSchema[Literal["dna"]] = "dna"


class Rna(_Polymer):
    """A chain of RNA."""

    molecule: SkipJsonSchema[Literal["rna"]] = "rna"
    msa: AlignmentInput | None = None
    """Alignment of this chain in letters of RNA: a file, its text, or `none`."""

    def files(self) -> Iterator[tuple[str, Path]]:
        """Each file that this entity names, with the field that names it."""
        if isinstance(self.msa, Path):
            yield "msa", self.msa

    def inputs(self) -> Iterator[tuple[str, str]]:
        """Each input that this entity brings beside its molecule: the field, and its kind."""
        if self.msa:
            yield "msa", "rna_msa"


class Ligand(_Entity):
    """A small molecule, by CCD codes or by SMILES."""

    molecule: SkipJsonSchema[Literal["ligand"]] = "ligand"
    ccd: CcdCodes = ()
    """One CCD code, or several for a ligand of several parts such as a glycan."""

    smiles: StrictStr | None = None
    """The molecule as SMILES. Its atoms have no names, so no bond can reach it."""

    @model_validator(mode="after")
    def _check_one_definition(self) -> Self:
        if bool(self.ccd) == (self.smiles is not None):
            raise field_problem(
                Message("has both ccd and smiles")
                if self.ccd
                else Message("has neither ccd nor smiles"),
                Message("give one of the two: `ccd: ATP` or `smiles: 'CCO'`"),
            )
        if self.smiles is not None:
            _check_smiles(self.smiles)
        return self

    def ccd_codes(self) -> Iterator[tuple[str, str]]:
        """Each CCD code that this entity names, with the field that names it."""
        yield from (("ccd", code) for code in self.ccd)


class Ion(_Entity):
    """A single atom with a charge, by its CCD code, such as MG or ZN."""

    molecule: SkipJsonSchema[Literal["ion"]] = "ion"
    ccd: CcdCode
    """Its CCD code."""

    def ccd_codes(self) -> Iterator[tuple[str, str]]:
        """Each CCD code that this entity names, with the field that names it."""
        yield "ccd", self.ccd


def _check_smiles(smiles: str) -> None:
    if not smiles or re.search(r"[^A-Za-z0-9@+\-\[\]()=#$%:/\\.~*>]", smiles):
        raise field_problem(
            Message(
                "smiles {smiles} is empty or holds a character that SMILES has not",
                smiles=shown(smiles),
            ),
            Message("in YAML put SMILES in single quotes, such as 'CC(=O)O'"),
        )
    for opening, closing in ("()", "[]"):
        if smiles.count(opening) != smiles.count(closing):
            raise field_problem(
                Message(
                    "smiles {smiles} has {opening} '{opening_2}' and {closing} '{closing_2}'",
                    smiles=shown(smiles),
                    opening=smiles.count(opening),
                    opening_2=opening,
                    closing=smiles.count(closing),
                    closing_2=closing,
                ),
                Message("close each bracket"),
            )


Polymer = Protein | Dna | Rna
Molecule = Protein | Dna | Rna | Ligand | Ion
Entity = Annotated[Molecule, Keyed("molecule", ("protein", "dna", "rna", "ligand", "ion"))]
