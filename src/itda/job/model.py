"""`Job`: what to fold, frozen and checked; the shape covers all that AlphaFold 3 folds."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, JsonValue, StrictInt, ValidationError, field_validator, model_validator

from itda.errors import InputError
from itda.job.entities import Entity, Ligand, Molecule, Polymer
from itda.job.fields import FilePath, Text
from itda.job.letters import Ambiguous
from itda.job.names import automatic_chain_ids, check_name, file_stem
from itda.job.problems import Strict, explain, field_problem, first_repeated, placed, rule, shown
from itda.job.relations import Bond, Constraint, Pocket, TokenReference
from itda.job.sequences import MoleculeOption, entities_from_text
from itda.language import PYTHON, Message, chosen_language, counted
from itda.storage import file_digest

DIALECT: Final = "itda"
VERSION: Final = 1

MAXIMUM_SEED = 2**32 - 1
MAXIMUM_SAMPLES = 10_000

JobName = Annotated[Text, rule(check_name)]
Seed = Annotated[StrictInt, Field(ge=0, le=MAXIMUM_SEED)]

_OTHER_DIALECTS = {
    "sequences": Message("AlphaFold 3 JSON and Boltz YAML"),
    "modelSeeds": Message("AlphaFold 3 JSON"),
    "queries": Message("OpenFold 3 JSON"),
}


class Job(Strict):
    """One thing to fold: molecules, what ties them together, how often to sample."""

    dialect: Literal["itda"] = DIALECT
    """The form of the file."""

    version: Literal[1] = VERSION
    """The version of that form."""

    name: JobName
    """Name of the results; never altered."""

    entities: Annotated[tuple[Entity, ...], Field(min_length=1)]
    """The molecules, in the order of their chains."""

    bonds: tuple[Bond, ...] = ()
    """Covalent bonds that the sequences do not imply, as pairs of [chain, position, atom]."""

    constraints: tuple[Constraint, ...] = ()
    """Distances to respect."""

    components: FilePath | None = None
    """mmCIF file with CCD definitions of one's own, relative to the job file."""

    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0,)
    """One run for each."""

    samples: Annotated[StrictInt, Field(ge=1, le=MAXIMUM_SAMPLES)] = 1
    """Structures from each seed."""

    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    """Anything of the user's own, carried along; results do not depend on it."""

    @classmethod
    def from_dict(
        cls, data: Any, *, folder: Path | None = None, files: Collection[str] | None = None
    ) -> Self:
        """Read a job from what a YAML or JSON file holds.

        Args:
            data: The parsed file.
            folder: Where relative paths in it start; they stay relative where it is None.
            files: The only paths that it may name; None for any.

        Raises:
            InputError: A field is unknown, missing or wrong; it names every such field.

        >>> Job.from_dict({
        ...     "version": 1,
        ...     "name": "ion_pair",
        ...     "entities": [{"protein": {"sequence": "MKT"}}, {"ion": {"ccd": "ZN"}}],
        ... }).chain_ids
        ('A', 'B')
        """
        if not isinstance(data, Mapping):
            raise InputError(
                Message("a job must have fields, not {data}", data=shown(data)),
                hint=Message("begin with `version: 1`, `name:` and `entities:`"),
            )
        where = (
            Message("job {data}", data=shown(data["name"]))
            if isinstance(data.get("name"), str)
            else ""
        )
        _check_dialect(data, where)
        try:
            return cls.model_validate(data, context={"folder": folder, "files": files})
        except ValidationError as error:
            raise explain(error, where) from error

    @classmethod
    def from_sequence(
        cls,
        name: str,
        sequence: str,
        *,
        molecule: MoleculeOption = "auto",
        ambiguous: Ambiguous = "refuse",
    ) -> Self:
        """A job of one chain, or of several written as A:B.

        What is changed in the sequence, such as lower case, is said as a Python warning.

        Args:
            name: Name of the results.
            sequence: One letter a residue.
            molecule: "auto" is protein, and refuses what looks like DNA or RNA.
            ambiguous: "x" reads ambiguous and rare letters as unknown.

        Raises:
            InputError: The name or the sequence breaks a rule.

        >>> Job.from_sequence("dimer", "MKT:MKT").chain_ids
        ('A', 'B')
        """
        where = Message("job {name}", name=shown(name))
        try:
            entities, changes = entities_from_text(sequence, molecule, ambiguous=ambiguous)
            job = cls(name=name, entities=entities)
        except ValidationError as error:
            raise explain(error, where) from error
        except InputError as error:
            problem = Message("{where}: {problem}", where=where, problem=error.problem)
            raise error.but(problem).said(PYTHON, chosen_language()) from error
        for change in changes:
            warnings.warn(f"{where}: {change}", stacklevel=2)
        return job

    def to_dict(self) -> dict[str, Any]:
        """What a JSON or YAML file of this job holds; fields at their default are left out."""
        head = {"dialect": self.dialect, "version": self.version}
        return head | self.model_dump(mode="json", by_alias=True, exclude_defaults=True)

    def digest(self) -> str:
        """SHA-256, in hexadecimal, of all that the results depend on.

        Name and metadata do not enter; files enter by their content, not by their path.

        Raises:
            InputError: A file that the job names cannot be read.
        """
        contents = {path: _file_digest(path, self.name, field) for field, path in self.files()}
        content = self.model_dump(
            mode="json",
            by_alias=True,
            exclude_defaults=True,
            exclude={"name", "metadata"},
            context=contents,
        )
        text = json.dumps(
            {"dialect": self.dialect, "version": self.version} | content,
            sort_keys=True,
            separators=(",", ":"),
        )
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def file_stem(self) -> str:
        """The name as the result files carry it."""
        return file_stem(self.name)

    @property
    def chains(self) -> tuple[tuple[str, Molecule], ...]:
        """Each chain id with its entity, copies one after the other."""
        return tuple((chain_id, entity) for entity in self.entities for chain_id in entity.ids)

    @property
    def chain_ids(self) -> tuple[str, ...]:
        """The ids of all chains, in order."""
        return tuple(chain_id for chain_id, _ in self.chains)

    def files(self) -> Iterator[tuple[str, Path]]:
        """Each file that the job names, with the field that names it."""
        for number, entity in enumerate(self.entities, 1):
            for field, path in entity.files():
                yield f"entity {number} ({entity.molecule}), {field}", path
        if self.components is not None:
            yield "components", self.components

    def inputs(self) -> Iterator[tuple[str, str]]:
        """Each input beside the molecules that the job brings: the field, and its kind."""
        for number, entity in enumerate(self.entities, 1):
            for field, kind in entity.inputs():
                yield f"entity {number} ({entity.molecule}), {field}", kind
        if self.components is not None:
            yield "components", "components"

    def __hash__(self) -> int:
        """Metadata is left out, for it need not be hashable."""
        return hash((self.name, self.entities, self.bonds, self.constraints, self.seeds))

    @field_validator("entities")
    @classmethod
    def _give_ids(cls, entities: tuple[Molecule, ...]) -> tuple[Molecule, ...]:
        taken = [chain_id for entity in entities for chain_id in entity.ids]
        if repeated := first_repeated(taken):
            raise field_problem(
                Message("chain id {repeated} stands twice", repeated=shown(repeated)),
                Message("give each chain its own id"),
            )
        free = automatic_chain_ids(frozenset(taken))
        return tuple(
            entity if entity.ids else entity.model_copy(update={"ids": (next(free),)})
            for entity in entities
        )

    @field_validator("seeds")
    @classmethod
    def _refuse_repeated_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        repeated = first_repeated(seeds)
        if repeated is not None:
            raise field_problem(
                Message("seed {repeated} stands twice", repeated=repeated),
                Message("give each seed once"),
            )
        return seeds

    @model_validator(mode="after")
    def _check_relations(self) -> Self:
        chains = dict(self.chains)
        known: set[frozenset[object]] = set()
        for number, bond in enumerate(self.bonds, 1):
            for atom in bond:
                where = Message("bond {number}, atom {atom}", number=number, atom=atom)
                entity = _find(chains, atom.chain, atom.position_1based, where)
                if isinstance(entity, Ligand) and entity.smiles is not None:
                    raise field_problem(
                        Message(
                            "{where}: chain {chain} is given as SMILES, whose atoms have no name",
                            where=where,
                            chain=atom.chain,
                        ),
                        Message("give the ligand by its CCD code"),
                    )
            if bond[0] == bond[1]:
                raise field_problem(
                    Message("bond {number} binds {bond} to itself", number=number, bond=bond[0]),
                    Message("name two different atoms"),
                )
            if frozenset(bond) in known:
                raise field_problem(
                    Message("bond {number} stands twice", number=number),
                    Message("give each bond once"),
                )
            known.add(frozenset(bond))
        for number, constraint in enumerate(self.constraints, 1):
            where = Message("constraint {number} ({kind})", number=number, kind=constraint.kind)
            if isinstance(constraint, Pocket):
                _find(chains, constraint.binder, 1, Message("{where}, binder", where=where))
            for token in constraint.tokens:
                _check_token(
                    chains, token, Message("{where}, token {token}", where=where, token=token)
                )
        return self


def _check_dialect(data: Mapping[Any, Any], where: str) -> None:
    dialect = data.get("dialect", DIALECT)
    foreign = next((form for key, form in _OTHER_DIALECTS.items() if key in data), None)
    if dialect != DIALECT or (foreign and "entities" not in data):
        written = foreign if dialect == DIALECT else shown(dialect)
        raise InputError(
            placed(
                where,
                Message(
                    "this is in the form of {written}; the form '{dialect}' is read here",
                    written=written,
                    dialect=DIALECT,
                ),
            ),
            hint=Message("write `version: 1`, `name:` and `entities:`, as docs/job.md shows"),
        )
    if "version" not in data:
        raise InputError(
            placed(where, Message("version is missing")),
            hint=Message("add `version: {version}`", version=VERSION),
        )
    version = data["version"]
    if type(version) is not int or version != VERSION:
        newer = type(version) is int and version > VERSION
        raise InputError(
            placed(
                where,
                Message(
                    "version {version} is not {version_2}",
                    version=shown(version),
                    version_2=VERSION,
                ),
            ),
            hint=Message("a newer Itda is needed to read it")
            if newer
            else Message("write `version: {version}`", version=VERSION),
        )


def _find(chains: Mapping[str, Molecule], chain: str, position_1based: int, where: str) -> Molecule:
    entity = chains.get(chain)
    if entity is None:
        raise field_problem(
            Message("{where}: there is no chain {chain}", where=where, chain=shown(chain)),
            Message("the chains are {chains:,}", chains=chains),
        )
    if isinstance(entity, Polymer):
        length = entity.length
    else:
        length = len(entity.ccd) if isinstance(entity, Ligand) and entity.ccd else 1
    if position_1based > length:
        raise field_problem(
            counted(
                "{where}: chain {chain} has {count} residue",
                "{where}: chain {chain} has {count} residues",
                length,
                where=where,
                chain=chain,
            ),
            Message("positions count from 1 along the chain, whatever its numbering"),
        )
    return entity


def _check_token(chains: Mapping[str, Molecule], token: TokenReference, where: str) -> None:
    entity = _find(chains, token.chain, token.position_1based, where)
    if isinstance(entity, Polymer):
        modified = {modification.position_1based for modification in entity.modifications}
        if token.atom is not None and token.position_1based not in modified:
            raise field_problem(
                Message("{where}: a standard residue is one token", where=where),
                Message("leave the atom name out"),
            )
    elif isinstance(entity, Ligand):
        if entity.smiles is not None:
            raise field_problem(
                Message(
                    "{where}: chain {chain} is given as SMILES, whose atoms have no name",
                    where=where,
                    chain=token.chain,
                ),
                Message("give the ligand by its CCD code, or make it the binder of a pocket"),
            )
        if token.atom is None:
            raise field_problem(
                Message("{where}: in a ligand each atom is a token", where=where),
                Message("add the atom name: [L, 1, C7]"),
            )


def _file_digest(path: Path, name: str, field: str) -> str:
    try:
        return file_digest(path)
    except OSError as error:
        raise InputError(
            Message(
                "job {name}: {field}: cannot read {path}: {strerror}",
                name=shown(name),
                field=field,
                path=path,
                strerror=error.strerror,
            ),
            hint=Message("give the path of a file, relative to the job file"),
        ) from error
