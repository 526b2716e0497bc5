"""Gradients of every block: beside finite differences of the path that works in place."""

from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from itda.models.esmfold.config import EsmFoldConfig
from itda.models.esmfold.modeling import FoldingBlock
from itda.nn import rows
from itda.nn.attention.pair_bias import AttentionPairBias
from itda.nn.pair_stack import PairStackBlock
from itda.nn.pairformer import PairformerBlock
from itda.nn.single_to_pair import SingleToPair
from itda.nn.structure.atoms import AtomBuilder
from itda.nn.structure.invariant_point import InvariantPointAttention
from itda.nn.structure.module import StructureModule
from itda.nn.structure.rigid import Rigid
from itda.nn.structure.torsions import AngleResnet, TorsionHead
from itda.nn.transition import ReluTransition, Transition
from itda.nn.triangle.attention import TriangleAttention
from itda.nn.triangle.multiplication import TriangleMultiplication
from itda.ops import routing
from itda.parity.harness import perturbed, randomise

SINGLE, PAIR, TOKENS = 12, 16, 5
ESMFOLD = EsmFoldConfig(
    vocabulary=("<cls>",), single_channels=SINGLE, pair_channels=PAIR,
    single_head_channels=4, pair_head_channels=8,
)  # fmt: skip


def on_single(module, single, pair, mask):
    return (module(single),)


def on_pair(module, single, pair, mask):
    return (module(pair),)


def added(module, single, pair, mask):
    return (module.add_to(pair, mask[:, :, None] & mask[:, None, :]),)


def added_from_single(module, single, pair, mask):
    return (module.add_to(pair, single),)


def added_by_rows(module, single, pair, mask):
    return (rows.add_by_rows(pair, module),)


def attended(module, single, pair, mask):
    return (module(single, pair, mask),)


def whole(module, single, pair, mask):
    return module(single, pair, mask)


def frames_of(single):
    return Rigid.from_update(single[..., :6])


def among_points(module, single, pair, mask):
    return (module(single, pair, frames_of(single), mask),)


def structure(module, single, pair, mask):
    given = module(single, pair, mask)
    return given.frames.rotation, given.frames.translation, given.torsions, given.single


def angles(module, single, pair, mask):
    return (module.unit(module(single, 2 * single)),)


def atoms(module, single, pair, mask):
    restype = torch.arange(TOKENS).expand(single.shape[:2])
    torsions = TorsionHead.unit(module, single[..., :10].unflatten(-1, (5, 2)))
    return (module(restype, frames_of(single), torsions),)


BLOCKS = {
    "transition": (lambda: Transition(PAIR, 2), added_by_rows),
    "transition of singles": (lambda: Transition(SINGLE, 2), on_single),
    "transition with ReLU": (lambda: ReluTransition(PAIR, 2), added_by_rows),
    "single to pair": (lambda: SingleToPair(SINGLE, PAIR, inner=6), added_from_single),
    "outgoing": (lambda: TriangleMultiplication(PAIR, outgoing=True), added),
    "incoming": (
        lambda: TriangleMultiplication(PAIR, outgoing=False, biased=True, gate_biased=False),
        added,
    ),
    "starting": (lambda: TriangleAttention(PAIR, 2, starting=True), added),
    "ending": (lambda: TriangleAttention(PAIR, 2, starting=False, biased=True), added),
    "ending, small heads, transposed bias": (
        lambda: TriangleAttention(PAIR, 4, starting=False, bias_transposed=True),
        added,
    ),
    "attention with pair bias": (
        lambda: AttentionPairBias(SINGLE, PAIR, 3, query_biased=True),
        attended,
    ),
    "pair stack": (lambda: PairStackBlock(SINGLE, PAIR, 3, pair_heads=2), whole),
    "Pairformer": (lambda: PairformerBlock(SINGLE, PAIR, 3, 2), whole),
    "ESMFold": (lambda: FoldingBlock(ESMFOLD), whole),
    "point attention": (lambda: InvariantPointAttention(SINGLE, PAIR, 2), among_points),
    # Gradients are stopped on purpose between steps: one is compared.
    "structure module": (
        lambda: StructureModule(SINGLE, PAIR, channels=SINGLE, heads=2, steps=1),
        structure,
    ),
    "torsions": (lambda: TorsionHead(SINGLE, SINGLE, 5), angles),
    "angles": (lambda: AngleResnet(SINGLE, 8, blocks=2, torsions=7), angles),
    "atoms": (AtomBuilder, atoms),
}
IN_PLACE = [
    name
    for name, (_, call) in BLOCKS.items()
    if call in (added, added_by_rows, added_from_single)
] + ["Pairformer", "ESMFold"]  # fmt: skip


def made(name, dtype=torch.float64):
    module = BLOCKS[name][0]()
    randomise(module)
    return module.to(dtype).eval()


def given(tokens=TOKENS, dtype=torch.float64, batch=2):
    generator = torch.Generator().manual_seed(tokens)
    single = torch.randn(batch, tokens, SINGLE, generator=generator, dtype=dtype)
    pair = torch.randn(batch, tokens, tokens, PAIR, generator=generator, dtype=dtype)
    mask = torch.ones(batch, tokens, dtype=torch.bool)
    mask[-1, -2:] = False
    return single, pair, mask


@pytest.fixture
def short_stretches(monkeypatch):
    """A row at a time, even of a small pair."""
    monkeypatch.setattr(rows, "PAIRS_AT_ONCE", 1)


def score(outputs):
    """Weigh every number differently, so that no error is averaged away."""
    total = 0.0
    for place, output in enumerate(outputs):
        generator = torch.Generator().manual_seed(place)
        total = total + (torch.randn(output.shape, generator=generator) * output).sum()
    return total


def gradients(name, module, inputs, run=None):
    """Take the gradients of the score, by name of parameter or place of input."""
    single, pair, mask = inputs
    leaves = {
        **dict(module.named_parameters()),
        "single": single.detach().clone().requires_grad_(),
        "pair": pair.detach().clone().requires_grad_(),
    }
    call = run or BLOCKS[name][1]
    module.zero_grad()
    score(call(module, leaves["single"], leaves["pair"], mask)).backward()
    assert torch.equal(leaves["pair"], pair) and torch.equal(leaves["single"], single)
    return {key: leaf.grad for key, leaf in leaves.items() if leaf.grad is not None}


def slope(name, module, inputs, key, direction, width=1e-6):
    """Measure how the score of the path without gradients changes along a direction."""
    single, pair, mask = inputs
    values = []
    with torch.no_grad():
        for step in (width, -width):
            moved = {"single": single.clone(), "pair": pair.clone()}
            target = moved[key] if key in moved else module.get_parameter(key)
            kept = target.clone()
            target += step * direction
            values.append(score(BLOCKS[name][1](module, moved["single"], moved["pair"], mask)))
            target.copy_(kept)
    return float(values[0] - values[1]) / (2 * width)


def errors(name, module, inputs, taken):
    """Give the relative error of the gradient of each parameter and input along a direction."""
    compared = {}
    for place, (key, gradient) in enumerate(taken.items()):
        generator = torch.Generator().manual_seed(place)
        direction = torch.randn(gradient.shape, generator=generator, dtype=torch.float64)
        along = float((gradient * direction).sum())
        scale = float(gradient.norm() * direction.norm()) + 1.0
        compared[key] = abs(along - slope(name, module, inputs, key, direction)) / scale
    return compared


@pytest.mark.parametrize("name", BLOCKS)
def test_gradients_are_slopes_of_the_path_in_place(name, short_stretches):
    module, inputs = made(name), given()
    taken = gradients(name, module, inputs)
    expected = {key for key, _ in module.named_parameters()}
    assert expected <= set(taken)
    assert {"single", "pair"} & set(taken)
    compared = errors(name, module, inputs, taken)
    assert max(compared.values()) < 1e-7, compared


@pytest.mark.parametrize("name", ["outgoing", "ending", "Pairformer", "ESMFold", "pair stack"])
def test_a_wrong_gradient_is_seen(name):
    module, inputs = made(name), given()
    taken = gradients(name, module, inputs)
    for key in taken:
        if key.endswith("norm_pair.bias"):
            # Adds the same to the logits of all keys, which softmax takes away.
            continue
        wrong = {**taken, key: 1.1 * taken[key]}
        assert errors(name, module, inputs, wrong)[key] > 1e-5, key


@pytest.mark.parametrize("name", IN_PLACE)
def test_a_pair_is_changed_in_place_without_gradients_only(name):
    module, (single, pair, mask) = made(name), given()
    call = BLOCKS[name][1]
    before = pair.clone()
    recorded = call(module, single, pair, mask)
    assert torch.equal(pair, before)
    with torch.no_grad():
        changed = call(module, single, pair, mask)
    assert changed[-1].data_ptr() == pair.data_ptr()
    assert not torch.equal(pair, before)
    torch.testing.assert_close(changed[-1], recorded[-1])


@pytest.mark.parametrize("tokens", [1, 9, 70])
@pytest.mark.parametrize("name", [*IN_PLACE, "pair stack", "attention with pair bias"])
def test_both_paths_give_the_same_numbers(name, tokens):
    module, inputs = made(name, torch.float32), given(tokens, torch.float32)
    single, pair, mask = inputs
    recorded = [part.detach() for part in BLOCKS[name][1](module, single, pair, mask)]
    with torch.no_grad():
        unrecorded = BLOCKS[name][1](module, single, pair.clone(), mask)
        with perturbed(list(module.parameters())[-1]):
            changed = BLOCKS[name][1](module, single, pair.clone(), mask)
    assert far(unrecorded, recorded) < 1e-6
    assert far(changed, recorded) > 1e-5


def far(got, expected):
    return max(
        float((a - b).abs().max() / b.abs().max()) for a, b in zip(got, expected, strict=True)
    )


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("name", ["pair stack", "Pairformer", "ESMFold"])
def test_blocks_can_be_checkpointed(name, reentrant, short_stretches):
    module, inputs = made(name), given()
    second = made(name)
    with torch.no_grad():
        for parameter in second.parameters():
            parameter.mul_(0.5)

    def both(single, pair, mask):
        return second(*module(single, pair, mask), mask)

    def spared(_, single, pair, mask):
        return checkpoint(both, single, pair, mask, use_reentrant=reentrant)

    stack = nn.ModuleList([module, second])
    expected = gradients(name, stack, inputs, lambda _, *given: both(*given))
    taken = gradients(name, stack, inputs, spared)
    assert set(taken) == set(expected)
    for key, value in expected.items():
        torch.testing.assert_close(taken[key], value, atol=1e-10, rtol=1e-8)


@contextmanager
def environment(monkeypatch, backend):
    monkeypatch.setenv(routing.VARIABLE, backend)
    yield
    monkeypatch.delenv(routing.VARIABLE)


@pytest.mark.parametrize("way", ["override", "environment"])
@pytest.mark.parametrize("name", ["pair stack", "Pairformer", "ESMFold"])
def test_kernels_without_gradients_are_passed_over(name, way, monkeypatch):
    module, inputs = made(name), given()
    expected = gradients(name, module, inputs)

    def refused(op, backend):
        raise AssertionError(f"{op} would have run by {backend}")

    monkeypatch.setattr(routing, "optional", refused)
    asked = routing.override if way == "override" else lambda b: environment(monkeypatch, b)
    with asked("triton"):
        taken = gradients(name, module, inputs)
        with torch.no_grad(), pytest.raises(AssertionError, match="by triton"):
            module(*given())
    for key, value in expected.items():
        assert torch.equal(taken[key], value), key
