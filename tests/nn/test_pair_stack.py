import pytest
import torch

from itda.nn.pair_stack import PairStackBlock
from itda.nn.triangle.attention import TriangleAttention
from itda.nn.triangle.multiplication import TriangleMultiplication
from itda.ops import routing
from itda.ops.gated_transition import reference


def randomise(module):
    """Default starts zero the output layers, which would hide every error."""
    generator = torch.Generator().manual_seed(1)
    for parameter in module.parameters():
        parameter.data.normal_(0, 0.3, generator=generator)
    return module.eval()


def inputs(tokens, padded=0):
    generator = torch.Generator().manual_seed(tokens)
    single = torch.randn(1, tokens, 12, generator=generator)
    pair = torch.randn(1, tokens, tokens, 8, generator=generator)
    mask = torch.ones(1, tokens, dtype=torch.bool)
    if padded:
        single = torch.nn.functional.pad(single, (0, 0, 0, padded), value=7.0)
        pair = torch.nn.functional.pad(pair, (0, 0, 0, padded, 0, padded), value=-5.0)
        mask = torch.nn.functional.pad(mask, (0, padded))
    return single, pair, mask


@pytest.mark.parametrize("pair_heads", [0, 2])
@pytest.mark.parametrize("tokens", [1, 13])
def test_padding_changes_nothing(pair_heads, tokens):
    block = randomise(PairStackBlock(12, 8, 3, pair_heads=pair_heads))
    single, pair = block(*inputs(tokens))
    padded_single, padded_pair = block(*inputs(tokens, padded=6))
    torch.testing.assert_close(padded_single[:, :tokens], single, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(padded_pair[:, :tokens, :tokens], pair, atol=1e-4, rtol=1e-4)


def test_a_fresh_block_is_nearly_the_identity():
    single, pair, mask = inputs(9)
    new_single, new_pair = PairStackBlock(12, 8, 3)(single, pair, mask)
    torch.testing.assert_close(new_single, single)
    torch.testing.assert_close(new_pair, pair)


def test_incoming_is_outgoing_of_the_transpose():
    outgoing = randomise(TriangleMultiplication(8, outgoing=True))
    # The output gate reads the edge itself, which the transpose exchanges; hold it open.
    outgoing.gate_out.weight.data.zero_()
    incoming = TriangleMultiplication(8, outgoing=False).eval()
    incoming.load_state_dict(outgoing.state_dict())
    _, pair, mask = inputs(11)
    pair_mask = mask[:, :, None] & mask[:, None, :]
    got = incoming(pair.transpose(1, 2), pair_mask)
    torch.testing.assert_close(got, outgoing(pair, pair_mask), atol=1e-4, rtol=1e-4)


def test_ending_attention_is_starting_attention_of_the_transpose():
    starting = randomise(TriangleAttention(8, 2, starting=True))
    ending = TriangleAttention(8, 2, starting=False).eval()
    ending.load_state_dict(starting.state_dict())
    _, pair, mask = inputs(6)
    pair_mask = mask[:, :, None] & mask[:, None, :]
    got = ending(pair.transpose(1, 2), pair_mask).transpose(1, 2)
    torch.testing.assert_close(got, starting(pair, pair_mask), atol=1e-4, rtol=1e-4)


def test_triangle_attention_as_the_paper_writes_it():
    module = randomise(TriangleAttention(8, 2, starting=True))
    _, pair, mask = inputs(5)
    got = module(pair, mask[:, :, None] & mask[:, None, :])
    x = module.norm(pair)[0]
    query, key, value = (part.unflatten(-1, (2, 4)) for part in module.project(x).chunk(3, -1))
    bias, gate = module.bias(x), torch.sigmoid(module.gate(x))
    expected = torch.zeros(5, 5, 2, 4)
    for i in range(5):
        for j in range(5):
            for h in range(2):
                scores = torch.stack(
                    [query[i, j, h] @ key[i, k, h] / 2 + bias[j, k, h] for k in range(5)]
                )
                expected[i, j, h] = torch.softmax(scores, 0) @ value[i, :, h]
    written = module.project_out(expected.flatten(-2) * gate)
    torch.testing.assert_close(got[0], written, atol=1e-4, rtol=1e-4)


def test_what_the_routing_names_is_used(monkeypatch):
    block = randomise(PairStackBlock(12, 8, 3, pair_heads=2))
    given = inputs(9)
    asked = []
    kept = reference.gated_transition
    monkeypatch.setattr(reference, "gated_transition", lambda *a: asked.append(1) or kept(*a))
    plain = block(*given)
    assert not asked
    with routing.override("reference"):
        routed = block(*given)
    assert len(asked) == 2
    for got, expected in zip(routed, plain, strict=True):
        torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)


def test_dropout_acts_in_training_only():
    block = randomise(PairStackBlock(12, 8, 3, dropout=0.5))
    given = inputs(7)
    torch.testing.assert_close(block(*given)[1], block(*given)[1])
    block.train()
    assert (block(*given)[1] - block(*given)[1]).abs().max() > 1e-3


def test_inference_works_in_a_pair_of_its_own():
    block = randomise(PairStackBlock(12, 8, 3, pair_heads=2))
    single, pair, mask = inputs(13, padded=2)
    kept = pair.clone()
    expected = block(single, pair, mask)
    with torch.no_grad():
        got = block(single, pair, mask)
    assert torch.equal(pair, kept)
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_a_changed_weight_is_seen():
    block = randomise(PairStackBlock(12, 8, 3, pair_heads=2))
    given = inputs(7)
    before = block(*given)
    for name, parameter in block.named_parameters():
        if name.endswith("bias"):
            continue
        kept = parameter.data.clone()
        parameter.data.flatten()[0] += 0.5
        after = block(*given)
        assert max((a - b).abs().max() for a, b in zip(before, after, strict=True)) > 1e-6, name
        parameter.data = kept
