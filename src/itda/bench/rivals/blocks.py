"""The Pairformer block of AlphaFold 3 as each package has it, behind one interface.

Every package runs its plain PyTorch path with the settings that its own inference takes at these
sizes, and may write into its inputs where its own inference does. Nothing here imports a package
before it is asked for.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

from itda.bench.rivals import weights

SINGLE_CHANNELS, PAIR_CHANNELS, SINGLE_HEADS, PAIR_HEADS = 384, 128, 16, 4
BLOCKS = 48
"""Of AlphaFold 3's Pairformer; the blocks are alike, and one is measured."""

PARTS = (
    "block", "outgoing", "incoming", "starting", "ending",
    "pair_transition", "single_attention", "single_transition",
)  # fmt: skip
Call = Callable[[Any, Any], Any]
"""Takes the single and the pair (with a batch of 1), and may overwrite them."""


class Block:
    """One side: a module and how its parts are called.

    Args:
        package: Distribution that it is from.
        module: With the weights.
        places: Where our weights stand in it.
        calls: By part.
        bias_transposed: Whether the ending node's attention reads the other edge's bias.
    """

    def __init__(
        self,
        package: str,
        module: Any,
        places: weights.Places | None,
        calls: dict[str, Call],
        *,
        bias_transposed: bool = False,
    ) -> None:
        self.package = package
        self.module = module.eval()
        self.calls = calls
        self.bias_transposed = bias_transposed
        self._places = places

    @property
    def version(self) -> str:
        """The version of the package."""
        return importlib.metadata.version(self.package)

    def load(self, state: dict[str, Any]) -> None:
        """Take weights that are named as ours are; every parameter must get one."""
        translated = state if self._places is None else weights.translated(state, self._places)
        self.module.load_state_dict(translated, strict=True)


def ours(precision: str = "float32", *, ending_bias_transposed: bool = False) -> Block:
    """Make our block."""
    from typing import cast

    import torch

    from itda.nn.pairformer import PairformerBlock, Precision
    from itda.nn.rows import add_by_rows

    block = PairformerBlock(
        SINGLE_CHANNELS, PAIR_CHANNELS, SINGLE_HEADS, PAIR_HEADS,
        precision=cast(Precision, precision), ending_bias_transposed=ending_bias_transposed,
    )  # fmt: skip

    def masks(single: Any) -> tuple[Any, Any]:
        mask = torch.ones(single.shape[:2], dtype=torch.bool, device=single.device)
        return mask, mask[:, :, None] & mask[:, None, :]

    def added(name: str) -> Call:
        return lambda s, z: block.get_submodule(name).add_to(z, masks(s)[1])  # type: ignore[operator]

    return Block(
        "itda",
        block,
        None,
        {
            "block": lambda s, z: block(s, z, masks(s)[0]),
            **{name: added(name) for name in ("outgoing", "incoming", "starting", "ending")},
            "pair_transition": lambda _, z: add_by_rows(z, block.pair_transition),
            "single_attention": lambda s, z: s + block.single_attention(s, z, masks(s)[0]),
            "single_transition": lambda s, _: s + block.single_transition(s),
        },
        bias_transposed=ending_bias_transposed,
    )


def boltz() -> Block:
    """Make Boltz-2's block; chunks as `PairformerModule` sets them."""
    import torch

    const = import_module("boltz.data.const")
    kind = import_module("boltz.model.layers.pairformer").PairformerLayer
    layer = kind(SINGLE_CHANNELS, PAIR_CHANNELS, SINGLE_HEADS, v2=True)

    def pair_mask(z: Any) -> Any:
        return torch.ones(z.shape[:3], device=z.device)

    def chunk(z: Any) -> int:
        return 128 if z.shape[1] > const.chunk_size_threshold else 512

    def attended(s: Any, z: Any) -> Any:
        x, mask = layer.pre_norm_s(s), torch.ones(s.shape[:2], device=s.device)
        return s + layer.attention(s=x, z=z, mask=mask, k_in=x)

    return Block(
        "boltz",
        layer,
        weights.BOLTZ,
        {
            "block": lambda s, z: layer(s, z, torch.ones(s.shape[:2]), pair_mask(z), chunk(z)),
            "outgoing": lambda _, z: z + layer.tri_mul_out(z, mask=pair_mask(z)),
            "incoming": lambda _, z: z + layer.tri_mul_in(z, mask=pair_mask(z)),
            "starting": lambda _, z: z + layer.tri_att_start(z, pair_mask(z), chunk(z)),
            "ending": lambda _, z: z + layer.tri_att_end(z, pair_mask(z), chunk(z)),
            "pair_transition": lambda _, z: z + layer.transition_z(z),
            "single_attention": attended,
            "single_transition": lambda s, _: s + layer.transition_s(s),
        },
    )


def protenix() -> Block:
    """Make Protenix's block: in place and without chunks, its inference up to 1,024 tokens."""
    os.environ["LAYERNORM_TYPE"] = "torch"
    kind = import_module("protenix.model.modules.pairformer").PairformerBlock
    block = kind(
        n_heads=SINGLE_HEADS, c_z=PAIR_CHANNELS, c_s=SINGLE_CHANNELS, no_heads_pair=PAIR_HEADS
    )
    in_place = {"mask": None, "inplace_safe": True}

    def whole(s: Any, z: Any) -> Any:
        single, pair = block(s[0], z[0], None, inplace_safe=True)
        return single[None], pair[None]

    def ending(_: Any, z: Any) -> Any:
        turned = z[0].transpose(-2, -3).contiguous()
        turned += block.tri_att_end(turned, **in_place)
        return turned.transpose(-2, -3).contiguous()[None]

    def added(call: Callable[[Any], Any]) -> Call:
        def run(_: Any, z: Any) -> Any:
            pair = z[0]
            pair += call(pair)
            return pair[None]

        return run

    return Block(
        "protenix",
        block,
        weights.PROTENIX,
        {
            "block": whole,
            "outgoing": lambda _, z: block.tri_mul_out(z[0], _add_with_inplace=True, **in_place),
            "incoming": lambda _, z: block.tri_mul_in(z[0], _add_with_inplace=True, **in_place),
            "starting": added(lambda z: block.tri_att_start(z, **in_place)),
            "ending": ending,
            "pair_transition": added(block.pair_transition),
            "single_attention": lambda s, z: (
                s[0] + block.attention_pair_bias(a=s[0], s=None, z=z[0])
            ),
            "single_transition": lambda s, _: s + block.single_transition(s),
        },
    )


def openfold3() -> Block:
    """Make OpenFold3's block: in place, chunks as its `predict` settings come out on a CPU."""
    import torch

    kind = import_module("openfold3.core.model.latent.pairformer").PairFormerBlock
    # The settings allow 1,024; its tuner takes the largest that does not run out of memory, and a
    # quarter of it for attention.
    most, attention = 1024, 256
    block = kind(
        c_s=SINGLE_CHANNELS, c_z=PAIR_CHANNELS, c_hidden_pair_bias=SINGLE_CHANNELS // SINGLE_HEADS,
        no_heads_pair_bias=SINGLE_HEADS, c_hidden_mul=PAIR_CHANNELS,
        c_hidden_pair_att=PAIR_CHANNELS // PAIR_HEADS, no_heads_pair=PAIR_HEADS,
        transition_type="swiglu", transition_n=4, pair_dropout=0.25,
        fuse_projection_weights=False, inf=1e9,
    )  # fmt: skip
    pair_stack = block.pair_stack

    def ones(x: Any) -> Any:
        return torch.ones(x.shape[:-1], device=x.device)

    def multiplied(module: Any) -> Call:
        return lambda _, z: module(z, mask=ones(z), inplace_safe=True, _add_with_inplace=True)

    def attended(module: Any, *, ending: bool) -> Call:
        def run(_: Any, z: Any) -> Any:
            turned = z.transpose(-2, -3) if ending else z
            turned += module(
                turned, ones(turned), transpose_bias=ending, chunk_size=attention, inplace_safe=True
            )
            return turned.transpose(-2, -3) if ending else turned

        return run

    def whole(s: Any, z: Any) -> Any:
        return block(
            s, z, ones(s), ones(z), chunk_size=most, inplace_safe=True, _attn_chunk_size=attention
        )

    def transition(_: Any, z: Any) -> Any:
        z += pair_stack.pair_transition(z, mask=ones(z), chunk_size=most)
        return z

    return Block(
        "openfold3",
        block,
        weights.OPENFOLD3,
        {
            "block": whole,
            "outgoing": multiplied(pair_stack.tri_mul_out),
            "incoming": multiplied(pair_stack.tri_mul_in),
            "starting": attended(pair_stack.tri_att_start, ending=False),
            "ending": attended(pair_stack.tri_att_end, ending=True),
            "pair_transition": transition,
            "single_attention": lambda s, z: (
                s + block.attn_pair_bias(a=s, z=z, mask=ones(s), use_high_precision_attention=True)
            ),
            "single_transition": lambda s, _: (
                s + block.single_transition(s, mask=ones(s), chunk_size=most)
            ),
        },
        bias_transposed=True,
    )


RIVALS: dict[str, Callable[[], Block]] = {
    "boltz": boltz,
    "openfold3": openfold3,
    "protenix": protenix,
}
