"""What ties chains together: covalent bonds and distance constraints."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from itda.job.fields import Angstrom, AtomName, ChainId, Position
from itda.job.keyed import Keyed
from itda.job.problems import Strict, field_problem, shown
from itda.language import Message


class AtomReference(NamedTuple):
    """An atom: its chain, its residue counted from 1 along the chain, its name in the CCD."""

    chain: ChainId
    position_1based: Position
    atom: AtomName

    def __str__(self) -> str:
        return f"{self.chain} {self.position_1based} {self.atom}"


class TokenReference(NamedTuple):
    """A residue of a polymer or, with its name, an atom of a ligand or modified residue."""

    chain: ChainId
    position_1based: Position
    atom: AtomName | None = None

    def __str__(self) -> str:
        return " ".join(str(part) for part in self if part is not None)


def _atom_form(value: Any) -> Any:
    if isinstance(value, list | tuple) and len(value) == 3:
        return value
    raise field_problem(
        Message("must be [chain, position, atom], not {shown}", shown=shown(value)),
        Message("write an atom as [A, 145, SG]"),
    )


def _token_form(value: Any) -> Any:
    if isinstance(value, list | tuple) and len(value) in (2, 3):
        return value
    raise field_problem(
        Message("must be [chain, position], not {shown}", shown=shown(value)),
        Message("write a residue as [A, 145], an atom of a ligand as [L, 1, C7]"),
    )


def _pair_form(value: Any) -> Any:
    if isinstance(value, list | tuple) and len(value) == 2:
        return value
    raise field_problem(Message("must be a pair"), Message("write it as [[A, 1, SG], [B, 2, SG]]"))


Atom = Annotated[AtomReference, BeforeValidator(_atom_form)]
Bond = Annotated[tuple[Atom, Atom], BeforeValidator(_pair_form)]
"""A covalent bond that the sequence does not imply: a disulphide, a link, a ring's closure."""

Token = Annotated[
    TokenReference,
    BeforeValidator(_token_form),
    PlainSerializer(lambda token: [part for part in token if part is not None]),
]


class _Constraint(Strict):
    kind: str

    @model_serializer(mode="wrap")
    def _under_its_kind(self, serialize: SerializerFunctionWrapHandler) -> dict[str, object]:
        body = serialize(self)
        body.pop("kind", None)
        return {self.kind: body}


class _Between(_Constraint):
    between: Annotated[tuple[Token, Token], BeforeValidator(_pair_form)]
    """The two tokens."""

    @model_validator(mode="after")
    def _refuse_itself(self) -> Self:
        if self.between[0] == self.between[1]:
            raise field_problem(
                Message("names the token {between} twice", between=self.between[0]),
                Message("name two different tokens"),
            )
        return self

    @property
    def tokens(self) -> tuple[TokenReference, ...]:
        """Every token that the constraint names."""
        return self.between


class Contact(_Between):
    """Two tokens touch: some pair of their heavy atoms is within the distance."""

    kind: SkipJsonSchema[Literal["contact"]] = "contact"
    max_distance_angstrom: Angstrom = 6.0
    """Between their closest heavy atoms."""


class Distance(_Between):
    """Representative atoms (CB, CA of glycine, C1', the ligand's atom) are within the distance."""

    kind: SkipJsonSchema[Literal["distance"]] = "distance"
    max_distance_angstrom: Angstrom
    """Between the representative atoms; a cross-linker's reach, for example."""


class Pocket(_Constraint):
    """A chain binds at given tokens: each has a heavy atom within the distance of the binder."""

    kind: SkipJsonSchema[Literal["pocket"]] = "pocket"
    binder: ChainId
    """The chain that binds, of any molecule."""

    contacts: Annotated[tuple[Token, ...], Field(min_length=1)]
    """The tokens of other chains that form the pocket."""

    max_distance_angstrom: Angstrom = 6.0
    """Between closest heavy atoms."""

    @model_validator(mode="after")
    def _refuse_itself(self) -> Self:
        for token in self.contacts:
            if token.chain == self.binder:
                raise field_problem(
                    Message("the binder {binder} is also in its pocket", binder=self.binder),
                    Message("name tokens of other chains"),
                )
        return self

    @property
    def tokens(self) -> tuple[TokenReference, ...]:
        """Every token that the constraint names."""
        return self.contacts


Constraint = Annotated[
    Contact | Distance | Pocket, Keyed("kind", ("contact", "distance", "pocket"))
]
