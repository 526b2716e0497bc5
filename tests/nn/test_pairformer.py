import pytest
import torch

from itda.nn.pairformer import PairformerBlock
from itda.parity.harness import perturbed, randomise

SIZES = [1, 7, 64, 127, 200]
BFLOAT16_TOLERANCE = 0.02
"""Of the largest change that the block makes: a few roundings of 2**-8 on the way."""


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


def made(precision="float32", **options):
    block = PairformerBlock(32, 16, 4, 2, precision=precision, **options)
    randomise(block)
    return block.eval()


def given(tokens, batch=1):
    generator = torch.Generator().manual_seed(tokens)
    single = torch.randn(batch, tokens, 32, generator=generator)
    pair = torch.randn(batch, tokens, tokens, 16, generator=generator)
    mask = torch.rand(batch, tokens, generator=generator) > 0.2
    mask[:, 0] = True
    return single, pair, mask


@torch.enable_grad()
def as_the_paper_writes_it(block, single, pair, mask):
    """Algorithm 17 with its steps added one after another, each at once and with gradients."""
    pair_mask = mask[:, :, None] & mask[:, None, :]
    for triangle in (block.outgoing, block.incoming, block.starting, block.ending):
        pair = pair + triangle(pair, pair_mask)
    pair = pair + block.pair_transition(pair)
    single = single + block.single_attention(single, pair, mask)
    return (single + block.single_transition(single)).detach(), pair.detach()


def change(got, before):
    return [after - start for after, start in zip(got, before, strict=True)]


def difference(got, expected):
    return max(
        float((a - b).abs().max() / b.abs().max()) for a, b in zip(got, expected, strict=True)
    )


@pytest.mark.parametrize("tokens", SIZES)
def test_in_place_and_in_rows_as_at_once(tokens):
    block = made()
    single, pair, mask = given(tokens, batch=2)
    expected = as_the_paper_writes_it(block, single, pair, mask)
    assert difference(block(single, pair.clone(), mask), expected) < 1e-5


def test_the_pair_is_changed_in_place_and_the_single_is_not():
    block = made()
    single, pair, mask = given(9)
    kept = single.clone()
    _, after = block(single, pair, mask)
    assert after.data_ptr() == pair.data_ptr()
    assert torch.equal(single, kept)


@pytest.mark.parametrize("tokens", SIZES)
def test_bfloat16_is_near_float32(tokens):
    single, pair, mask = given(tokens)
    exact, rounded = made(), made("bfloat16")
    expected = change(exact(single, pair.clone(), mask), (single, pair))
    got = rounded(single, pair.clone(), mask)
    assert {tensor.dtype for tensor in got} == {torch.float32}
    assert difference(change(got, (single, pair)), expected) < BFLOAT16_TOLERANCE


def parameters():
    # The shift of this norm adds the same to the logits of all keys, which softmax takes away.
    without_effect = "single_attention.norm_pair.bias"
    return [name for name, _ in made().named_parameters() if name != without_effect]


@pytest.mark.parametrize("name", parameters())
def test_a_perturbed_weight_is_seen(name):
    block = made()
    single, pair, mask = given(40)
    expected = block(single, pair.clone(), mask)
    with perturbed(block.get_parameter(name)):
        assert difference(block(single, pair.clone(), mask), expected) > 1e-5


@pytest.mark.parametrize("part", ["outgoing.project", "ending.project_out", "pair_transition.up"])
def test_bfloat16_with_a_layer_left_out_is_not_near(part):
    single, pair, mask = given(64)
    exact, rounded = made(), made("bfloat16")
    rounded.get_submodule(part).weight.data.zero_()
    expected = change(exact(single, pair.clone(), mask), (single, pair))
    got = change(rounded(single, pair.clone(), mask), (single, pair))
    assert difference(got, expected) > BFLOAT16_TOLERANCE


def test_logits_of_attention_stay_in_float32():
    block = made("bfloat16")
    kept = {name for name, p in block.named_parameters() if p.dtype == torch.float32}
    assert {name for name in kept if "norm" not in name} == {
        "starting.bias.weight", "ending.bias.weight", "single_attention.bias.weight",
        "single_attention.query_bias",
    }  # fmt: skip


def test_a_transposed_bias_is_that_of_the_other_edge():
    plain, transposed = made(), made(ending_bias_transposed=True)
    single, pair, mask = given(20)
    symmetric = pair + pair.transpose(1, 2)
    pair_mask = mask[:, :, None] & mask[:, None, :]
    torch.testing.assert_close(
        transposed.ending(symmetric, pair_mask), plain.ending(symmetric, pair_mask)
    )
    expected = plain(single, pair.clone(), mask)
    assert difference(transposed(single, pair.clone(), mask), expected) > 1e-3
