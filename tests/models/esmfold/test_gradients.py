"""ESMFold's trunk can be trained: what is given with gradients, and where they reach."""

import pytest
import torch

from itda.parity import esmfold as parity


@pytest.fixture(scope="module")
def network_and_layers(published):
    return parity.our_model(*published)


def run(network, layers, recycles=1):
    restype, index, mask = parity.CASES["X and 3 lengths in a batch"].tensors()
    return network(restype, index, mask, layers, recycles=recycles), mask


def test_what_is_given_is_the_same_with_gradients_and_without(network_and_layers):
    recorded, mask = run(*network_and_layers)
    with torch.no_grad():
        unrecorded, _ = run(*network_and_layers)
    pairs = mask[:, :, None] & mask[:, None, :]
    for got, expected in (
        (recorded.single[mask], unrecorded.single[mask]),
        (recorded.pair[pairs], unrecorded.pair[pairs]),
        (recorded.lddt[mask], unrecorded.lddt[mask]),
    ):
        assert float((got.detach() - expected).abs().max() / expected.abs().max()) < 1e-6


def test_gradients_reach_all_but_the_language_model(network_and_layers):
    network, layers = network_and_layers
    output, mask = run(network, layers)
    score = output.atoms[mask].square().mean() + output.lddt[mask].mean()
    pae, distogram = network.pae_logits(output.pair), network.distogram_logits(output.pair)
    (score + pae.square().mean() + distogram.square().mean()).backward()
    reached = {name for name, p in network.named_parameters() if p.grad is not None}
    every = {name for name, _ in network.named_parameters()}
    frozen = {name for name in every if name.startswith("language_model.")}
    assert frozen and every - reached == frozen
    assert all(p.grad is None for p in layers.parameters())
    assert all(bool(p.grad.isfinite().all()) for p in network.parameters() if p.grad is not None)
    assert network.state_share.grad.abs().min() > 0


def test_gradients_flow_through_the_last_pass_only(network_and_layers):
    network, layers = network_and_layers
    calls = []
    handle = network.blocks[0].register_forward_hook(
        lambda _module, _given, output: calls.append(output[1].requires_grad)
    )
    run(network, layers, recycles=2)
    handle.remove()
    assert calls == [False, False, True]
