import pytest
import torch

from itda.models.flashabb.config import FlashAbbConfig
from itda.models.flashabb.features import AntibodyFeatures
from itda.models.flashabb.modeling import CorrectedNorm, FlashAbb
from itda.nn.structure.rigid import Rigid
from itda.parity.flashabb import HEAVY, LIGHT
from itda.parity.harness import random_tensor, randomise


@pytest.fixture(scope="module")
def network():
    """Random weights everywhere; frequencies as in the published network."""
    built = FlashAbb(FlashAbbConfig(blocks=2)).eval()
    randomise(built, scale=0.5)
    for name, buffer in built.named_buffers():
        if name.endswith("frequency"):
            buffer.copy_(10000.0 ** -(torch.arange(8) / 8))
    return built


@pytest.mark.parametrize("lengths", [(121, 112), (130, 1), (1, 0), (127, 129)])
def test_the_spectrum_is_the_sum_of_attention_by_relative_position(network, lengths):
    """Against one product with a one-hot matrix; light chains cross the border of bins."""
    heavy, light = lengths
    position = torch.cat([torch.arange(heavy), 500 + torch.arange(light)])
    attended = random_tensor("attended", (12, heavy + light, heavy + light)).softmax(-1)
    offset = (position[None, :] - position[:, None]) % 128
    wanted = torch.einsum(
        "hij,ijb->ihb", attended, torch.nn.functional.one_hot(offset, 128).float()
    )
    found = network.blocks[0].attention._spectrum(attended, position)
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=0)


def test_attention_does_not_change_when_everything_is_moved(network):
    features = AntibodyFeatures.from_sequences([(HEAVY[:61], LIGHT[:47])])
    x = random_tensor("x", (108, 128))
    frames = Rigid.from_update(random_tensor("frames", (108, 6)) * 3)
    moved = Rigid.from_update(torch.tensor([0.3, -1.2, 0.8, 4.0, -7.0, 2.0])[None]).compose(frames)
    attention = network.blocks[0].attention
    with torch.no_grad():
        here, there = attention(x, frames, features), attention(x, moved, features)
        twin = Rigid(frames.rotation, frames.translation + torch.arange(108.0)[:, None])
        other = attention(x, twin, features)
    torch.testing.assert_close(here, there, atol=2e-4, rtol=0)
    assert (here - other).abs().max() > 0.1


def test_the_corrected_norm_follows_the_published_formula():
    norm = CorrectedNorm(16, dropout=0.1)
    randomise(norm)
    x = random_tensor("input", (5, 16)) * 3 + 2
    mean, deviation = x.mean(-1, keepdim=True), x.std(-1, keepdim=True, unbiased=False)
    factor = (0.9 / (1 + 0.1 * (mean / deviation) ** 2)).sqrt()
    plain = torch.nn.functional.layer_norm(x, (16,), norm.weight, norm.bias)
    wanted = factor * plain + (1 - factor) * norm.bias
    torch.testing.assert_close(norm(x), wanted, atol=1e-5, rtol=0)
    assert (norm(x) - plain).abs().max() > 0.01
    without = CorrectedNorm(16, dropout=0.0)
    without.load_state_dict(norm.state_dict())
    torch.testing.assert_close(without(x), plain, atol=1e-5, rtol=0)


def test_antibodies_in_a_row_do_not_see_each_other(network):
    pairs = [(HEAVY[:113], LIGHT[:107]), (HEAVY[:61], LIGHT[3:50])]
    with torch.no_grad():
        first, second = (network(AntibodyFeatures.from_sequences([pair])) for pair in pairs)
        both = network(AntibodyFeatures.from_sequences(pairs))
        turned = network(AntibodyFeatures.from_sequences(pairs[::-1]))
    alone = torch.cat([first.atoms, second.atoms])
    torch.testing.assert_close(both.atoms, alone, atol=1e-3, rtol=0)
    torch.testing.assert_close(turned.atoms[: len(second.atoms)], second.atoms, atol=1e-3, rtol=0)
    merged = AntibodyFeatures.from_sequences(pairs)
    merged = AntibodyFeatures(merged.restype, merged.heavy, merged.position, (len(alone),))
    with torch.no_grad():
        assert (network(merged).atoms - alone).abs().max() > 0.1
