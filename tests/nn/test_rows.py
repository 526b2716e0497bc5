import pytest
import torch

from itda.nn.attention.pair_bias import AttentionPairBias
from itda.nn.rows import PAIRS_AT_ONCE, add_by_rows, map_rows, row_slices
from itda.nn.single_to_pair import SingleToPair
from itda.nn.transition import ReluTransition
from itda.nn.triangle.attention import TriangleAttention
from itda.nn.triangle.multiplication import TriangleMultiplication
from itda.parity.harness import perturbed, randomise

SIZES = [1, 7, 64, 127, 130]
CHANNELS = 16


def pair_and_mask(tokens, batch=1):
    generator = torch.Generator().manual_seed(tokens)
    pair = torch.randn(batch, tokens, tokens, CHANNELS, generator=generator)
    mask = torch.rand(batch, tokens, generator=generator) > 0.2
    mask[:, 0] = True
    return pair, mask[:, :, None] & mask[:, None, :]


def made(module):
    randomise(module)
    return module.eval()


MODULES = {
    "outgoing": lambda: TriangleMultiplication(CHANNELS, outgoing=True),
    "incoming, biased": lambda: TriangleMultiplication(CHANNELS, outgoing=False, biased=True),
    "starting": lambda: TriangleAttention(CHANNELS, 2, starting=True),
    "ending, biased": lambda: TriangleAttention(CHANNELS, 2, starting=False, biased=True),
}


@pytest.mark.parametrize("tokens", [7, 1000, 3 * PAIRS_AT_ONCE])
def test_slices_cover_all_rows_once(tokens):
    rows = [row for part in row_slices(torch.empty(1, tokens, 3, 1)) for row in range(tokens)[part]]
    assert rows == list(range(tokens))


def close(got, expected):
    scale = expected.abs().max()
    torch.testing.assert_close(got / scale, expected / scale, atol=3e-6, rtol=0)


@pytest.mark.parametrize("tokens", SIZES)
@pytest.mark.parametrize("name", MODULES)
def test_inference_in_rows_equals_training_at_once(name, tokens):
    module = made(MODULES[name]())
    pair, mask = pair_and_mask(tokens, batch=2)
    at_once = module(pair, mask).detach()
    with torch.no_grad():
        close(module(pair, mask), at_once)
        if isinstance(module, TriangleAttention):
            added = module.add_to(pair.clone(), mask)
            close(added, pair + at_once)


@pytest.mark.parametrize("name", MODULES)
def test_a_perturbed_weight_is_seen(name):
    module = made(MODULES[name]())
    pair, mask = pair_and_mask(64)
    at_once = module(pair, mask).detach()
    with torch.no_grad(), perturbed(module.norm.bias):
        difference = (module(pair, mask) - at_once).abs().max() / at_once.abs().max()
    assert difference > 1e-4


@pytest.mark.parametrize("tokens", SIZES)
def test_vectors_by_rows_equal_vectors_at_once(tokens):
    transition = made(ReluTransition(CHANNELS, 4))
    pair, _ = pair_and_mask(tokens)
    at_once = add_by_rows(pair, transition).detach()
    with torch.no_grad():
        close(add_by_rows(pair.clone(), transition), at_once)
        close(map_rows(pair, transition), at_once - pair)


def test_at_once_leaves_its_input_alone():
    pair, _ = pair_and_mask(5)
    kept = pair.clone()
    add_by_rows(pair, lambda part: part)
    assert torch.equal(pair, kept)


@pytest.mark.parametrize("inner", [None, 4])
def test_products_and_differences_are_those_of_the_paper(inner):
    module = made(SingleToPair(12, CHANNELS, inner=inner))
    single = torch.randn(2, 19, 12)
    left, right = module.project(module.norm(single)).chunk(2, dim=-1)
    both = [left[:, :, None] * right[:, None], left[:, :, None] - right[:, None]]
    expected = module.project_out(torch.cat(both, dim=-1)).detach()
    close(module(single).detach(), expected)
    with torch.no_grad():
        close(module(single), expected)


def test_bias_of_attention_is_the_same_in_rows():
    module = made(AttentionPairBias(12, CHANNELS, 3, biased=True))
    pair, _ = pair_and_mask(130)
    single, mask = torch.randn(1, 130, 12), torch.ones(1, 130, dtype=torch.bool)
    at_once = module(single, pair, mask).detach()
    with torch.no_grad():
        close(module(single, pair, mask), at_once)
