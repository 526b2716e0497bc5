import numpy as np
import torch

from itda.nn.structure.atoms import AtomBuilder
from itda.structure.chains.dataset import ChainDataset
from itda.train.batch import Crop
from itda.train.families.mini import TRAINABLE
from itda.train.trainable import make_batch


def test_atoms_are_rebuilt_from_frames_and_torsions(data_folder):
    dataset = ChainDataset.open(data_folder / "chains")
    crops = [Crop(dataset[0], 0, 24, True), Crop(dataset[3], 2, 20, False)]
    batch = make_batch(crops, TRAINABLE)
    targets, restype = batch.targets, batch.features.tokens.restype
    built = AtomBuilder()(restype, targets.frames, targets.torsions)
    gap = (built - targets.atoms).norm(dim=-1)[targets.atom_mask]
    assert gap.max() < 0.02


def test_padding_and_hidden_profiles_are_marked(data_folder):
    dataset = ChainDataset.open(data_folder / "chains")
    batch = make_batch([Crop(dataset[0], 0, 24, True), Crop(dataset[3], 2, 20, False)], TRAINABLE)
    tokens = batch.features.tokens
    assert tokens.mask.sum(1).tolist() == [24, 18]
    assert batch.features.profile.present.tolist() == [True, False]
    assert (batch.targets.dssp[1, 18:] == -1).all()
    assert not batch.targets.atom_mask[1, 18:].any()
    assert tokens.residue_index[1, 0] == 2


def test_missing_atoms_and_breaks_take_no_part(data_folder):
    import dataclasses

    chain = ChainDataset.open(data_folder / "chains")[5]
    mask = chain.atom_mask.copy()
    mask[4, 1] = False
    index = chain.residue_index.copy()
    index[10:] += 5
    broken = dataclasses.replace(chain, atom_mask=mask, residue_index=index)
    targets = make_batch([Crop(broken, 0, len(chain), True)], TRAINABLE).targets
    assert not targets.backbone_mask[0, 4]
    assert not targets.linked[0, [3, 4, 9]].any()
    assert not targets.phi_psi_mask[0, 10, 0]
    assert not targets.phi_psi_mask[0, 9, 1]
    assert targets.phi_psi_mask[0, 8].all()
    assert not targets.torsion_mask[0, 4].any()


def test_coordinates_far_from_the_origin_keep_their_precision(data_folder):
    import dataclasses

    chain = ChainDataset.open(data_folder / "chains")[1]
    far = dataclasses.replace(chain, coordinates=chain.coordinates + np.float32(800))
    near, shifted = (make_batch([Crop(c, 0, 20, True)], TRAINABLE).targets for c in (chain, far))
    torch.testing.assert_close(shifted.frames.rotation, near.frames.rotation, atol=2e-3, rtol=0)
    torch.testing.assert_close(
        shifted.cb - shifted.cb[:, :1], near.cb - near.cb[:, :1], atol=2e-3, rtol=0
    )
