"""Compile every kernel for GPUs that need not be there; print bytes of shared memory as JSON.

Run as a program, since a process whose kernels are interpreted cannot compile them.
"""

import json
import sys

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from itda.ops.attention import triton as attention
from itda.ops.gated_transition import triton as gated_transition
from itda.ops.layer_norm import triton as layer_norm
from itda.ops.tiles import tile_of
from itda.ops.triangle_multiply import triton as triangle_multiply

BYTES = {"fp32": 4, "bf16": 2, "fp16": 2}


def compiled(kernel, element, architecture, tile, constants, pointers, *, floats=(), others=None):
    """Compile as a launch with contiguous channels would."""
    constants = {**constants, "widen": False}
    contiguous = {name for name in kernel.arg_names if name.endswith("_channel")}
    signature, known, hints = {}, {}, {}
    for place, name in enumerate(kernel.arg_names):
        if name in constants or name in contiguous:
            signature[name] = "constexpr"
            known[(place,)] = constants.get(name, 1)
        elif name in pointers:
            signature[name] = "*" + (others or {}).get(name, element)
            hints[(place,)] = [["tt.divisibility", 16]]
        else:
            signature[name] = "fp32" if name in floats else "i32"
    source = ASTSource(fn=kernel, signature=signature, constexprs=known, attrs=hints)
    options = {"num_warps": tile["warps"], "num_stages": tile["stages"]}
    target = GPUTarget("cuda", architecture, 32)
    return triton.compile(source, target=target, options=options).metadata.shared


def kernels(element, architecture):
    """Yield names and bytes, at the widths of the pair and single of AlphaFold 3's families."""
    size = BYTES[element]
    for width in (32, 64):
        tile = tile_of("triangle_attention", width=width, size=size)
        yield (
            f"attention {width}",
            compiled(
                attention._attend,
                element,
                architecture,
                tile,
                {
                    "channels": width - 8,
                    "value_channels": width,
                    "width": width,
                    "value_width": width,
                    "tile_queries": tile["queries"],
                    "tile_keys": tile["keys"],
                    "has_bias": True,
                    "index": tl.int32,
                },
                ("query", "key", "value", "bias", "mask", "out"),
                floats=("scale_log2",),
                others={"bias": "fp32", "mask": "u8"},
            ),
        )
    tile = tile_of("triangle_multiply", width=1, size=size)
    yield (
        "triangle_multiply",
        compiled(
            triangle_multiply._multiply,
            element,
            architecture,
            tile,
            {
                **{f"tile_{name}": tile[name] for name in ("rows", "columns", "inner", "channels")},
                "index": tl.int32,
            },
            ("left", "right", "out"),
        ),
    )
    for width in (128, 256):
        tile = tile_of("gated_transition", width=width, size=size)
        yield (
            f"gated_transition {width}",
            compiled(
                gated_transition._transition,
                element,
                architecture,
                tile,
                {
                    "channels": width,
                    "width": width,
                    "tile_rows": tile["rows"],
                    "tile_hidden": tile["hidden"],
                    "has_weight": True,
                    "has_bias": True,
                },
                ("x", "norm_weight", "norm_bias", "up", "down", "out"),
                floats=("epsilon",),
            ),
        )
    tile = tile_of("layer_norm", width=1024, size=size)
    yield (
        "layer_norm",
        compiled(
            layer_norm._norm,
            element,
            architecture,
            tile,
            {
                "channels": 833,
                "width": 1024,
                "tile_rows": tile["rows"],
                "has_weight": True,
                "has_bias": True,
            },
            ("x", "weight", "bias", "out"),
            floats=("epsilon",),
        ),
    )
    tile = tile_of("silu_gate", width=1, size=size)
    yield (
        "silu_gate",
        compiled(
            gated_transition._gate,
            element,
            architecture,
            tile,
            {"tile_values": tile["values"]},
            ("both", "out"),
        ),
    )


if __name__ == "__main__":
    print(json.dumps(dict(kernels(sys.argv[1], int(sys.argv[2])))))
