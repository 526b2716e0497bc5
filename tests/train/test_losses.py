import math

import numpy as np
import torch

from itda.nn.structure.rigid import Rigid
from itda.structure.lddt import lddt
from itda.train.batch import Crop
from itda.train.families.mini import TRAINABLE
from itda.train.losses import binned
from itda.train.losses.frame_aligned import frame_aligned_point_error
from itda.train.losses.torsion import torsion_loss
from itda.train.losses.violation import clash_violation, peptide_violation
from itda.train.trainable import make_batch


def frames_and_points(count=9, seed=0):
    generator = torch.Generator().manual_seed(seed)
    frames = Rigid.from_update(torch.randn(2, count, 6, generator=generator) * 3)
    return frames, torch.ones(2, count, dtype=torch.bool)


def error(predicted, true, mask, clamped=True):
    flags = torch.full((2,), clamped)
    return frame_aligned_point_error(
        *(predicted, true, mask), *(predicted.translation, true.translation, mask), clamped=flags
    )


def moved(frames, rotation, shift):
    return Rigid(rotation @ frames.rotation, frames.translation @ rotation.T + shift)


def test_rigid_motion_costs_nothing_and_a_mirror_does():
    frames, mask = frames_and_points()
    rotation = Rigid.from_update(torch.tensor([0.2, -0.7, 1.1, 0.0, 0.0, 0.0])).rotation
    same = error(moved(frames, rotation, torch.tensor([5.0, -3.0, 8.0])), frames, mask)
    assert (same < 0.0015).all()
    mirror = torch.diag(torch.tensor([1.0, 1.0, -1.0]))
    reflected = Rigid(mirror @ frames.rotation @ mirror, frames.translation @ mirror)
    assert (error(reflected, frames, mask) > 0.1).all()


def test_error_is_that_of_the_paper_written_out():
    predicted, mask = frames_and_points(seed=1)
    true, _ = frames_and_points(seed=2)
    mask[0, 3] = False
    got = error(predicted, true, mask)
    total, count = 0.0, 0
    for i in range(9):
        for j in range(9):
            if not (mask[0, i] and mask[0, j]):
                continue
            a = predicted.rotation[0, i].T @ (
                predicted.translation[0, j] - predicted.translation[0, i]
            )
            b = true.rotation[0, i].T @ (true.translation[0, j] - true.translation[0, i])
            total += min(10.0, math.sqrt((a - b).square().sum().item() + 1e-4))
            count += 1
    assert abs(got[0].item() - total / count / 10) < 1e-5
    assert (error(predicted, true, mask, clamped=False) >= got).all()


def test_half_turn_is_free_only_where_it_is_a_symmetry():
    angle = torch.tensor([0.3, 0.3])
    unit = torch.stack([angle.sin(), angle.cos()], dim=-1)[None, :, None].expand(1, 2, 5, 2)
    mask = torch.ones(1, 2, 5, dtype=torch.bool)
    none = torch.zeros_like(mask)
    assert torsion_loss(unit, -unit, mask, mask).item() < 1e-6
    assert abs(torsion_loss(unit, -unit, mask, none).item() - 4) < 1e-4
    assert torsion_loss(unit, unit, mask, none).item() < 1e-6


def test_lddt_agrees_with_the_one_that_reports():
    random = np.random.default_rng(0)
    true = random.normal(0, 8, (40, 3)).astype(np.float32)
    predicted = true + random.normal(0, 1.0, (40, 3)).astype(np.float32)
    mask = random.random(40) > 0.2
    got = binned.lddt_ca(*(torch.tensor(x)[None] for x in (predicted, true, mask)))[0]
    expected = lddt(predicted[mask], true[mask]).per_residue
    np.testing.assert_allclose(got.numpy()[mask], expected, atol=1e-5)


def test_aligned_error_sees_which_row_is_aligned():
    true, mask = frames_and_points()
    shifted = true.translation.clone()
    turned = true.rotation.clone()
    turned[:, 2] = turned[:, 2] @ Rigid.from_update(torch.tensor([1.0, 0, 0, 0, 0, 0])).rotation
    predicted = Rigid(turned, shifted)
    logits = torch.zeros(2, 9, 9, 64)
    logits[..., 0] = 20.0
    assert binned.pae_loss(logits, true, true, mask, bin_angstrom=0.5).max() < 1e-3
    base = binned.pae_loss(logits, predicted, true, mask, bin_angstrom=0.5)
    logits[:, 2] = 0.0
    eased = binned.pae_loss(logits, predicted, true, mask, bin_angstrom=0.5)
    assert (eased < base).all(), "the frame that is wrong is a row"


def test_targets_of_ideal_chains_violate_nothing(data_folder):
    from itda.structure.chains.dataset import ChainDataset

    chain = ChainDataset.open(data_folder / "chains")[2]
    batch = make_batch([Crop(chain, 0, len(chain), True)], TRAINABLE)
    targets = batch.targets
    assert peptide_violation(targets.atoms, targets.linked).item() < 0.02
    pulled = targets.atoms.clone()
    pulled[:, 10:] += 1.0
    assert peptide_violation(pulled, targets.linked).item() > 0.02
    restype = batch.features.tokens.restype
    before = clash_violation(targets.atoms, targets.atom_mask, restype, targets.linked)
    squeezed = clash_violation(targets.atoms * 0.5, targets.atom_mask, restype, targets.linked)
    assert squeezed.item() > before.item() + 0.05
