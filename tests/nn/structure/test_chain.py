import math

import numpy as np
import pytest
import torch

from itda.chem.geometry import rigid_group_tables
from itda.nn.structure.chain import build_chain, hang_chain
from itda.nn.structure.rigid import Rigid


def test_chain_built_from_torsions_has_them():
    angles = torch.tensor(np.random.default_rng(0).uniform(-math.pi, math.pi, (1, 12, 2)))
    torsions = torch.stack([angles.sin(), angles.cos()], dim=-1).float()
    frames = build_chain(torsions, torch.ones(1, 12, dtype=torch.bool))
    tables = rigid_group_tables()
    local = torch.from_numpy(tables.atom14_position[0, :3])
    atoms = torch.stack([frames.apply(local[k].expand(1, 12, 3)) for k in range(3)], dim=2)[0]
    n, ca, c = atoms.unbind(1)
    torch.testing.assert_close(
        (n[1:] - c[:-1]).norm(dim=-1), torch.full((11,), 1.329), atol=1e-3, rtol=0
    )

    def dihedral(p, q, r, s):
        first, second = torch.linalg.cross(q - p, r - q), torch.linalg.cross(r - q, s - r)
        side = torch.linalg.cross(first, (r - q) / (r - q).norm(dim=-1, keepdim=True))
        return torch.atan2(-(side * second).sum(-1), (first * second).sum(-1))

    def same(measured, wanted):
        gap = torch.remainder(measured.double() - wanted + math.pi, 2 * math.pi) - math.pi
        assert gap.abs().max() < 0.01

    same(dihedral(c[:-1], n[1:], ca[1:], c[1:]), angles[0, 1:, 0])
    same(dihedral(n[:-1], ca[:-1], c[:-1], n[1:]), angles[0, :-1, 1])
    same(dihedral(ca[:-1], c[:-1], n[1:], ca[1:]), torch.full((11,), math.pi))


def random_chain(length, seed):
    angles = torch.tensor(np.random.default_rng(seed).uniform(-math.pi, math.pi, (1, length, 2)))
    torsions = torch.stack([angles.sin(), angles.cos()], dim=-1).float()
    return build_chain(torsions, torch.ones(1, length, dtype=torch.bool))


def moved(frames, seed):
    generator = torch.Generator().manual_seed(seed)
    update = torch.randn(1, 1, 6, generator=generator) * torch.tensor([1, 1, 1, 30, 30, 30])
    return Rigid.from_update(update).compose(frames)


def mask_of(text):
    return torch.tensor([[letter == "T" for letter in text]])


@pytest.mark.parametrize(
    "covered", ["TTTTTTTTTT", "TTT....TTT", "...TTTT...", ".........T", "T........."]
)
def test_a_chain_hung_on_itself_is_itself_where_the_template_put_it(covered):
    chain = random_chain(10, 1)
    placed = moved(chain, 2)
    hung = hang_chain(chain, placed, mask_of(covered))
    torch.testing.assert_close(hung.translation, placed.translation, atol=2e-4, rtol=0)
    torch.testing.assert_close(hung.rotation, placed.rotation, atol=1e-4, rtol=0)


def test_known_residues_keep_their_place_and_a_gap_is_closed_at_both_ends():
    chain, template = random_chain(20, 1), moved(random_chain(20, 5), 6)
    mask = mask_of("TTTTT" + "." * 8 + "TTTT" + "...")
    hung = hang_chain(chain, template, mask)
    torch.testing.assert_close(
        hung.translation[mask], template.translation[mask], atol=2e-4, rtol=0
    )
    first = (hung.translation[0, 5] - hung.translation[0, 4]).norm()
    whole = (template.translation[0, 13] - template.translation[0, 4]).norm()
    # The gap's ends are a ninth of the misfit away from a bonded step, not all of it.
    unhung = (
        template.gather(torch.full((1, 20), 4))
        .compose(chain.gather(torch.full((1, 20), 4)).invert())
        .compose(chain)
    )
    misfit = (unhung.translation[0, 13] - template.translation[0, 13]).norm()
    assert first < 3.81 + misfit / 9 + 1e-3
    assert whole > 3
    tail = (hung.translation[0, 17:] - hung.translation[0, 16:-1]).norm(dim=-1)
    torch.testing.assert_close(tail, torch.full((3,), 3.80), atol=0.05, rtol=0)


def test_without_a_template_the_chain_stays():
    chain = random_chain(7, 3)
    hung = hang_chain(chain, moved(chain, 4), torch.zeros(1, 7, dtype=torch.bool))
    assert torch.equal(hung.translation, chain.translation)
    assert torch.equal(hung.rotation, chain.rotation)
