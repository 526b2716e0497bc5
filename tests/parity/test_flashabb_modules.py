"""Each part of FlashABB by itself beside the reference's, on the same random inputs and weights."""

import pytest
import torch

pytest.importorskip("flash_abb")

from flash_abb.model.openfold.utils.rigid_utils import Rigid as TheirRigid
from flash_abb.model.openfold.utils.rigid_utils import Rotation

from itda.models.flashabb.features import AntibodyFeatures
from itda.nn.structure.rigid import Rigid
from itda.parity import flashabb
from itda.parity.harness import perturbed, random_tensor

PAIR = (flashabb.HEAVY[:113], "X" + flashabb.LIGHT[1:106])
TOKENS = len(PAIR[0]) + len(PAIR[1])
LAST = 7


@pytest.fixture(scope="module")
def sides():
    """The reference's network and ours, on weights without a zero."""
    reference = flashabb.reference_model()
    with torch.no_grad():
        for name, parameter in reference.flabb.named_parameters():
            if not name.endswith("freqs"):
                parameter.copy_(random_tensor(name, tuple(parameter.shape)))
    state = {name: tensor.clone() for name, tensor in reference.flabb.state_dict().items()}
    return reference.flabb.model, flashabb.our_model(state, flashabb.published_sizes())


@pytest.fixture(scope="module")
def inputs():
    """A representation, frames in both forms, and features."""
    x = random_tensor("representation", (TOKENS, 128))
    frames = Rigid.from_update(random_tensor("frames", (TOKENS, 6)) * 2)
    theirs = TheirRigid(Rotation(rot_mats=frames.rotation[None]), frames.translation[None])
    return x, frames, theirs, AntibodyFeatures.from_sequences([PAIR])


def apart(ours, theirs):
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.mark.parametrize("block", [0, LAST])
def test_attention(sides, inputs, block):
    (reference, network), (x, frames, theirs, features) = sides, inputs
    attention = network.blocks[block].attention
    with torch.no_grad():
        mask = torch.ones(1, TOKENS)
        wanted = reference.ipa_layers[block](x[None], features.position[None], theirs, mask)[0]
        assert apart(attention(x, frames, features), wanted) < 1e-5
        other = network.blocks[(block + 1) % 8].attention
        assert apart(other(x, frames, features), wanted) > 0.1
        for name in ("point_weight", "scalars.bias", "project_out.weight"):
            with perturbed(attention.get_parameter(name)):
                assert apart(attention(x, frames, features), wanted) > 1e-4


@pytest.mark.parametrize("block", [0, LAST])
def test_transition_and_corrected_norm(sides, inputs, block):
    (reference, network), x = sides, inputs[0]
    ours = network.blocks[block]
    with torch.no_grad():
        wanted = reference.transition_layers[block](x[None])[0]
        assert apart(ours.norm_transition(x + ours.transition(x)), wanted) < 1e-5
        plain = torch.nn.LayerNorm(128)
        plain.load_state_dict(ours.norm_transition.state_dict())
        assert apart(plain(x + ours.transition(x)), wanted) > 1e-3


@pytest.mark.parametrize("block", [0, LAST])
def test_backbone_update(sides, inputs, block):
    (reference, network), (x, frames, theirs, _) = sides, inputs
    with torch.no_grad():
        moved = theirs.compose_q_update_vec(reference.bb_update_layers[block](x[None]))
        ours = frames.compose(Rigid.from_update(network.blocks[block].update(x)))
        assert apart(ours.rotation, moved.get_rots().get_rot_mats()[0]) < 1e-5
        assert apart(ours.translation, moved.get_trans()[0]) < 1e-5
        turned = Rigid.from_update(network.blocks[block].update(x)).compose(frames)
        assert apart(turned.translation, moved.get_trans()[0]) > 0.1


def test_angles(sides, inputs):
    (reference, network), x = sides, inputs[0]
    first = random_tensor("first representation", (TOKENS, 128))
    with torch.no_grad():
        raw, unit = reference.angle_resnet_layers[LAST](x[None], first[None])
        ours = network.torsions(x[None], first[None])
        assert apart(ours, raw) < 1e-5
        assert float((network.torsions.unit(ours) - unit).abs().max()) < 1e-4
        assert apart(network.torsions(first[None], x[None]), raw) > 0.1
        nothing = torch.zeros(1, 2)
        assert bool(network.torsions.unit(nothing).isfinite().all())


def test_atoms(sides, inputs):
    (reference, network), (_, frames, theirs, features) = sides, inputs
    torsions = torch.nn.functional.normalize(random_tensor("torsions", (1, TOKENS, 7, 2)), dim=-1)
    glycine = features.restype.clone()
    glycine[glycine == 20] = 7
    with torch.no_grad():
        groups = reference.torsion_angles_to_frames(theirs, torsions, glycine[None])
        wanted = reference.frames_and_literature_positions_to_atom14_pos(groups, glycine[None])[0]
        batched = Rigid(frames.rotation[None], frames.translation[None])
        ours = network.build_atoms(features.restype[None], batched, torsions)[0]
        exists = network.build_atoms.atom_mask[features.restype]
        assert exists.sum() > 1500
        assert float((ours - wanted)[exists].abs().max()) < 1e-4
        turned = network.build_atoms(features.restype[None], batched, torsions.flip(-1))[0]
        assert float((turned - wanted)[exists].abs().max()) > 0.5


def test_lddt_head(sides, inputs):
    (reference, network), x = sides, inputs[0]
    with torch.no_grad():
        wanted = reference.plddt(x)
        assert apart(network.lddt_head(x), wanted) < 1e-5
        with perturbed(network.lddt_head[1].weight):
            assert apart(network.lddt_head(x), wanted) > 1e-3
