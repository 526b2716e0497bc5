"""Where the weights of our Pairformer block stand in those of others: the maths is the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Layers = Mapping[str, str | tuple[str, ...]]
"""Our layer, and theirs that it is cut into."""

Places = Mapping[str, tuple[str, ...]]
"""Our parameter, and theirs that it is cut into along its first axis, in order."""


def _named(ours: str, theirs: str, layers: Layers) -> dict[str, Any]:
    """Join the names of a part's layers; every one has a weight, norms have a bias too."""
    places: dict[str, tuple[str, ...]] = {}
    for layer, names in layers.items():
        targets = (names,) if isinstance(names, str) else names
        for kind in ("weight", "bias") if "norm" in layer else ("weight",):
            places[f"{ours}.{layer}.{kind}"] = tuple(f"{theirs}{name}.{kind}" for name in targets)
    return places


_ATTENTION: Layers = {
    "project": ("mha.linear_q", "mha.linear_k", "mha.linear_v"),
    "gate": "mha.linear_g",
    "project_out": "mha.linear_o",
}
_BOLTZ_TRIANGLE: Layers = {
    "norm": "norm_in", "project": "p_in", "gate": "g_in",
    "norm_out": "norm_out", "gate_out": "g_out", "project_out": "p_out",
}  # fmt: skip
_BOLTZ_TRANSITION: Layers = {"norm": "norm", "up": ("fc1", "fc2"), "down": "fc3"}
_BOLTZ_ATTENTION: Layers = {"norm": "layer_norm", "bias": "linear", **_ATTENTION}

BOLTZ: Places = {
    **_named("outgoing", "tri_mul_out.", _BOLTZ_TRIANGLE),
    **_named("incoming", "tri_mul_in.", _BOLTZ_TRIANGLE),
    **_named("starting", "tri_att_start.", _BOLTZ_ATTENTION),
    **_named("ending", "tri_att_end.", _BOLTZ_ATTENTION),
    **_named("pair_transition", "transition_z.", _BOLTZ_TRANSITION),
    **_named("single_transition", "transition_s.", _BOLTZ_TRANSITION),
    **_named(
        "single_attention",
        "",
        {
            "norm": "pre_norm_s",
            "norm_pair": "attention.proj_z.0",
            "bias": "attention.proj_z.1",
            "project": ("attention.proj_q", "attention.proj_k", "attention.proj_v"),
            "gate": "attention.proj_g",
            "project_out": "attention.proj_o",
        },
    ),
    "single_attention.query_bias": ("attention.proj_q.bias",),
}

_OPENFOLD_TRIANGLE: Layers = {
    "norm": "layer_norm_in",
    "project": ("linear_a_p", "linear_b_p"),
    "gate": ("linear_a_g", "linear_b_g"),
    "norm_out": "layer_norm_out",
    "gate_out": "linear_g",
    "project_out": "linear_z",
}
_PROTENIX_TRANSITION: Layers = {
    "norm": "layernorm1",
    "up": ("linear_no_bias_a", "linear_no_bias_b"),
    "down": "linear_no_bias",
}

PROTENIX: Places = {
    **_named("outgoing", "tri_mul_out.", _OPENFOLD_TRIANGLE),
    **_named("incoming", "tri_mul_in.", _OPENFOLD_TRIANGLE),
    **_named("starting", "tri_att_start.", _BOLTZ_ATTENTION),
    **_named("ending", "tri_att_end.", _BOLTZ_ATTENTION),
    **_named("pair_transition", "pair_transition.", _PROTENIX_TRANSITION),
    **_named("single_transition", "single_transition.", _PROTENIX_TRANSITION),
    **_named(
        "single_attention",
        "attention_pair_bias.",
        {
            "norm": "layernorm_a",
            "norm_pair": "layernorm_z",
            "bias": "linear_nobias_z",
            "project": ("attention.linear_q", "attention.linear_k", "attention.linear_v"),
            "gate": "attention.linear_g",
            "project_out": "attention.linear_o",
        },
    ),
    "single_attention.query_bias": ("attention_pair_bias.attention.linear_q.bias",),
}

_OPENFOLD_ATTENTION: Layers = {"norm": "layer_norm", "bias": "linear_z", **_ATTENTION}
_OPENFOLD_TRANSITION: Layers = {
    "norm": "layer_norm",
    "up": ("swiglu.linear_a", "swiglu.linear_b"),
    "down": "linear_out",
}

OPENFOLD3: Places = {
    **_named("outgoing", "pair_stack.tri_mul_out.", _OPENFOLD_TRIANGLE),
    **_named("incoming", "pair_stack.tri_mul_in.", _OPENFOLD_TRIANGLE),
    **_named("starting", "pair_stack.tri_att_start.", _OPENFOLD_ATTENTION),
    **_named("ending", "pair_stack.tri_att_end.", _OPENFOLD_ATTENTION),
    **_named("pair_transition", "pair_stack.pair_transition.", _OPENFOLD_TRANSITION),
    **_named("single_transition", "single_transition.", _OPENFOLD_TRANSITION),
    **_named(
        "single_attention",
        "attn_pair_bias.",
        {"norm": "layer_norm_a", "norm_pair": "layer_norm_z", "bias": "linear_z", **_ATTENTION},
    ),
    "single_attention.query_bias": ("attn_pair_bias.mha.linear_q.bias",),
}


def translated(state: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """Give the state of their block from that of ours.

    Raises:
        KeyError: A parameter of ours has no place, or a place has no parameter.
    """
    if state.keys() != places.keys():
        raise KeyError(f"without a counterpart: {sorted(state.keys() ^ places.keys())}")
    return {
        theirs: part
        for ours, names in places.items()
        for theirs, part in zip(names, state[ours].chunk(len(names)), strict=True)
    }
