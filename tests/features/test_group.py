from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from itda.chem.residues import UNKNOWN_INDEX
from itda.features import Features, ProfileFeatures, TemplateFeatures, TokenFeatures
from itda.features.group import Group, padding


def features(sequence, *, profile=False):
    tokens = len(sequence)
    given = ProfileFeatures.absent(1, tokens)
    if profile:
        given = ProfileFeatures.from_array(np.full((tokens, 20), 0.05, np.float32))
    return Features(
        TokenFeatures.from_sequence(sequence), given, TemplateFeatures.absent(1, tokens)
    )


def test_each_job_keeps_its_own_and_the_rest_is_what_is_declared():
    long, short = features("MKTAYIAKQR"), features("ACDE", profile=True)
    batch = Features.stack([long, short])
    assert batch.tokens.restype.shape == (2, 10)
    assert batch.tokens.mask.sum(1).tolist() == [10, 4]
    torch.testing.assert_close(batch.tokens.restype[1, :4], short.tokens.restype[0])
    assert (batch.tokens.restype[1, 4:] == UNKNOWN_INDEX).all()
    assert batch.profile.present.tolist() == [False, True]
    assert batch.profile.frequency[1, :4].sum() > 3.9
    assert not batch.profile.frequency[1, 4:].any()
    assert batch.templates.mask.shape == (2, 0, 10)


@dataclass(frozen=True)
class AtomFeatures(Group):
    """A group that no family has yet."""

    token_index: Int[Tensor, "batch atom"] = field(metadata=padding(-1))
    position: Float[Tensor, "batch atom 3"] = field(metadata=padding(float("nan")))
    mask: Bool[Tensor, "batch atom"] = field(metadata=padding(False))
    bonded: Bool[Tensor, "batch atom atom"] = field(metadata=padding(True))


@dataclass(frozen=True)
class AlignmentFeatures(Group):
    """Another, whose rows are one axis and whose tokens another."""

    restype: Int[Tensor, "batch row token"] = field(metadata=padding(31))
    deletions: Float[Tensor, "batch row token"] = field(metadata=padding(0.5))
    paired: Bool[Tensor, "batch row"] = field(metadata=padding(False))


@dataclass(frozen=True)
class AllAtomFeatures(Group):
    atoms: AtomFeatures
    alignment: AlignmentFeatures
    tokens: TokenFeatures


def all_atom(sequence, *, atoms, rows):
    tokens = len(sequence)
    random = np.random.default_rng(atoms)
    return AllAtomFeatures(
        AtomFeatures(
            torch.arange(atoms)[None] % tokens,
            torch.from_numpy(random.normal(size=(1, atoms, 3))).float(),
            torch.ones(1, atoms, dtype=torch.bool),
            torch.eye(atoms, dtype=torch.bool)[None],
        ),
        AlignmentFeatures(
            torch.from_numpy(random.integers(0, 20, (1, rows, tokens))),
            torch.zeros(1, rows, tokens),
            torch.ones(1, rows, dtype=torch.bool),
        ),
        TokenFeatures.from_sequence(sequence),
    )


def test_atoms_and_rows_are_padded_each_along_its_own_axis():
    # The one with fewer atoms has more rows.
    one, other = all_atom("ACDEF", atoms=40, rows=2), all_atom("GHI", atoms=7, rows=6)
    batch = AllAtomFeatures.stack([one, other])
    assert batch.sizes() == {"batch": 2, "atom": 40, "row": 6, "token": 5}
    assert torch.equal(batch.atoms.position[0], one.atoms.position[0])
    assert torch.equal(batch.atoms.position[1, :7], other.atoms.position[0])
    assert batch.atoms.position[1, 7:].isnan().all()
    assert (batch.atoms.token_index[1, 7:] == -1).all()
    assert batch.atoms.mask.sum(1).tolist() == [40, 7]
    assert batch.atoms.bonded[1, :7, :7].equal(other.atoms.bonded[0])
    assert batch.atoms.bonded[1, 7:].all() and batch.atoms.bonded[1, :, 7:].all()
    assert batch.alignment.paired.sum(1).tolist() == [2, 6]
    assert (batch.alignment.restype[0, 2:] == 31).all()
    assert (batch.alignment.restype[1, :, 3:] == 31).all()
    assert torch.equal(batch.alignment.restype[1, :, :3], other.alignment.restype[0])
    assert (batch.alignment.deletions[0, 2:] == 0.5).all()
    assert batch.atoms.token_index.dtype == torch.int64
    # A batch is stacked as an example is.
    three = AllAtomFeatures.stack([batch, all_atom("ACDEFGH", atoms=3, rows=1)])
    assert three.sizes() == {"batch": 3, "atom": 40, "row": 6, "token": 7}
    assert torch.equal(three.atoms.position[:2].nan_to_num(), batch.atoms.position.nan_to_num())


def test_every_array_of_every_group_is_moved():
    moved = all_atom("ACD", atoms=4, rows=2).to("meta")
    assert {tensor.device.type for _, tensor in moved._arrays()} == {"meta"}
    assert len(list(moved._arrays())) == 10


def test_a_length_is_filled_up_to_and_never_cut():
    group = all_atom("ACDE", atoms=9, rows=3)
    padded = group.pad({"atom": 12, "token": 8})
    assert padded.sizes() == {"batch": 1, "atom": 12, "row": 3, "token": 8}
    assert group.pad(group.sizes()).sizes() == group.sizes()
    with pytest.raises(ValueError, match=r"AtomFeatures\.token_index"):
        group.pad({"atom": 8})
    with pytest.raises(ValueError, match="is nothing to stack"):
        AllAtomFeatures.stack([])


def test_what_is_not_declared_is_refused_by_name():
    @dataclass(frozen=True)
    class Silent(Group):
        value: Float[Tensor, "batch atom"]

    @dataclass(frozen=True)
    class Nameless(Group):
        value: Float[Tensor, "..."] = field(metadata=padding(0.0))

    groups = [Silent(torch.zeros(1, length)) for length in (2, 3)]
    with pytest.raises(TypeError, match=r"Silent.value declares no padding"):
        Silent.stack(groups)
    assert Silent.stack(groups[:1] * 2).sizes() == {"batch": 2, "atom": 2}
    with pytest.raises(TypeError, match=r"Nameless.value"):
        Nameless(torch.zeros(1)).to("cpu")
    with pytest.raises(ValueError):
        replace(groups[0], value=torch.zeros(1, 2, 2)).sizes()
