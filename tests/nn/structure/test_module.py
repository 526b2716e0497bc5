import math

import pytest
import torch

from itda.chem.geometry import rigid_group_tables
from itda.nn.structure.atoms import AtomBuilder
from itda.nn.structure.invariant_point import InvariantPointAttention
from itda.nn.structure.module import StructureModule
from itda.nn.structure.rigid import Rigid


def random_inputs(tokens, channels=16, pair_channels=6):
    generator = torch.Generator().manual_seed(tokens)
    single = torch.randn(1, tokens, channels, generator=generator)
    pair = torch.randn(1, tokens, tokens, pair_channels, generator=generator)
    frames = Rigid.from_update(torch.randn(1, tokens, 6, generator=generator))
    return single, pair, frames, torch.ones(1, tokens, dtype=torch.bool)


def randomise(module):
    generator = torch.Generator().manual_seed(1)
    for parameter in module.parameters():
        parameter.data.normal_(0, 0.2, generator=generator)
    return module.eval()


def test_point_attention_does_not_see_the_global_frame():
    attention = randomise(InvariantPointAttention(16, 6, 2))
    single, pair, frames, mask = random_inputs(9)
    turn = Rigid.from_update(torch.tensor([[[0.3, -1.0, 0.5, 4.0, -7.0, 2.0]]]))
    moved = Rigid(turn.rotation.expand(1, 9, 3, 3), turn.translation.expand(1, 9, 3)).compose(
        frames
    )
    torch.testing.assert_close(
        attention(single, pair, moved, mask),
        attention(single, pair, frames, mask),
        atol=2e-4,
        rtol=1e-3,
    )


def test_point_attention_sees_relative_positions():
    attention = randomise(InvariantPointAttention(16, 6, 2))
    single, pair, frames, mask = random_inputs(9)
    shifted = frames.translation.clone()
    shifted[0, 4] += 1.0
    moved = attention(single, pair, Rigid(frames.rotation, shifted), mask)
    assert (moved - attention(single, pair, frames, mask)).abs().max() > 1e-3


def test_point_attention_as_the_paper_writes_it():
    module = randomise(InvariantPointAttention(16, 6, 2, query_points=2, value_points=3))
    single, pair, frames, mask = random_inputs(4)
    got = module(single, pair, frames, mask)[0]
    query, key, value = module.scalars(single)[0].unflatten(-1, (2, -1)).chunk(3, -1)
    points = module.points(single)[0].unflatten(-1, (2, -1, 3))
    weight = torch.nn.functional.softplus(module.point_weight)
    bias = module.pair_bias(pair)[0]

    def place(i, local):
        return local @ frames.rotation[0, i].T + frames.translation[0, i]

    rows = []
    for i in range(4):
        parts = []
        for h in range(2):
            scores = []
            for j in range(4):
                gap = place(i, points[i, h, :2]) - place(j, points[j, h, 2:4])
                scores.append(
                    3**-0.5
                    * (
                        query[i, h] @ key[j, h] / 16**0.5
                        + bias[i, j, h]
                        - weight[h] * math.sqrt(2 / (9 * 2)) / 2 * gap.square().sum()
                    )
                )
            attended = torch.softmax(torch.stack(scores), 0)
            placed = torch.stack([place(j, points[j, h, 4:]) for j in range(4)])
            mean = torch.einsum("j,jpx->px", attended, placed)
            local = (mean - frames.translation[0, i]) @ frames.rotation[0, i]
            parts.append(
                torch.cat(
                    [
                        attended @ value[:, h],
                        attended @ pair[0, i],
                        local.flatten(),
                        local.norm(dim=-1),
                    ]
                )
            )
        rows.append(module.project_out(torch.cat(parts)))
    torch.testing.assert_close(got, torch.stack(rows), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("start", ["origin", "torsions"])
def test_structure_is_float32_under_autocast_and_ignores_padding(start):
    module = randomise(StructureModule(16, 6, channels=12, heads=2, steps=2, start=start))
    single, pair, _, mask = random_inputs(7)
    plain = module(single, pair, mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = module(single, pair, mask)
    torch.testing.assert_close(cast.frames.translation, plain.frames.translation)
    pad = torch.nn.functional.pad
    padded = module(
        pad(single, (0, 0, 0, 3), value=9.0),
        pad(pair, (0, 0, 0, 3, 0, 3), value=9.0),
        pad(mask, (0, 3)),
    )
    torch.testing.assert_close(
        padded.frames.translation[:, :7], plain.frames.translation, atol=1e-3, rtol=1e-3
    )
    assert (plain.backbone_torsions is None) == (start == "origin")
    assert len(plain.trajectory) == 2


def test_atoms_stand_where_tables_say():
    builder = AtomBuilder()
    restype = torch.arange(21)[None]
    zero = torch.tensor([0.0, 1.0]).expand(1, 21, 5, 2)
    atoms = builder(restype, Rigid.identity((1, 21), zero), zero)
    tables = rigid_group_tables()
    backbone = torch.from_numpy(tables.atom14_position[:, :3])
    torch.testing.assert_close(atoms[0, :, :3], backbone)
    turned = builder(
        restype,
        Rigid.identity((1, 21), zero),
        torch.tensor([1.0, 0.0]).expand(1, 21, 5, 2),
    )
    moved = (turned - atoms).norm(dim=-1)[0] > 0.1
    assert not moved[:, :3].any()
    assert moved[:20, 3].all()
