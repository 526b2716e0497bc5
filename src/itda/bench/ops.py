"""Each op and block at AlphaFold 3's sizes: its backends in turn, in one run."""

from __future__ import annotations

import contextlib
import importlib.util
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from itda.bench.clock import device_peaks, measured
from itda.bench.summary import ratios, rounded, side_summary
from itda.nn.pair_stack import PairStackBlock
from itda.nn.pairformer import PairformerBlock
from itda.nn.rows import row_slices
from itda.ops import routing
from itda.ops.attention import attention
from itda.ops.gated_transition import gated_transition
from itda.ops.layer_norm import layer_norm
from itda.ops.triangle_attention import triangle_attention
from itda.ops.triangle_multiply import triangle_multiply
from itda.parity.harness import randomise

PAIR_CHANNELS, PAIR_HEADS, SINGLE_CHANNELS, SINGLE_HEADS, FACTOR = 128, 4, 384, 16, 4
Report = Callable[[str], None]
Run = Callable[..., Any]


@dataclass(frozen=True)
class Case:
    """An op with inputs of one size.

    Attributes:
        op: A key of `routing.BACKENDS`.
        variant: Which of several uses, or "".
        run: Takes `backend`, and works in stretches of rows as the blocks do.
        flops: Of matrix products, as the paper writes them.
        bytes: Of inputs read and outputs written once.
        channels: By which the routing chooses.
    """

    op: str
    variant: str
    run: Run
    flops: float
    bytes: float
    channels: int = PAIR_CHANNELS


def measure(
    *,
    tokens: Sequence[int],
    device: str,
    dtype: str,
    repeats: int,
    compile_reference: bool,
    report: Report,
) -> dict[str, Any]:
    """Measure all ops and blocks.

    Args:
        tokens: Sizes.
        device: `cpu` or `cuda`.
        dtype: `float32`, `bfloat16` or `float16`.
        repeats: Of each measurement.
        compile_reference: Whether to measure `torch.compile` of the reference too.
        report: Takes progress.
    """
    torch.set_num_threads(1)
    kind: torch.dtype = getattr(torch, dtype)
    peaks = device_peaks(device, kind)
    with torch.no_grad():
        rows = [
            _row(case, size, device, dtype, peaks, repeats, compile_reference, report)
            for size in tokens
            for case in cases(size, device, kind)
        ]
        blocks = [
            _block_row(name, size, device, repeats, report) for size in tokens for name in BLOCKS
        ]
    return {
        "threads": 1,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "dtype": dtype,
        "repeats": repeats,
        "device_peaks": {name: rounded(value, 4) for name, value in peaks.items()},
        "rows": rows,
        "blocks": blocks,
    }


def cases(tokens: int, device: str, dtype: torch.dtype) -> list[Case]:
    """Make the inputs of every op at a size."""
    generator = torch.Generator().manual_seed(tokens)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(device, dtype)

    n, size = tokens, torch.empty((), dtype=dtype).element_size()
    pairs, head = n * n, PAIR_CHANNELS // PAIR_HEADS
    edges = normal(1, 3, n, n, PAIR_HEADS, head)
    bias = normal(1, PAIR_HEADS, n, n).float()
    pair_mask = torch.ones(1, n, n, dtype=torch.bool, device=device)
    # As the blocks have them: channels first in memory.
    left, right = (normal(1, PAIR_CHANNELS, n, n).permute(0, 2, 3, 1) for _ in range(2))
    single = normal(3, 1, SINGLE_HEADS, n, SINGLE_CHANNELS // SINGLE_HEADS)
    single_bias = normal(1, SINGLE_HEADS, n, n).float()
    pair = normal(1, n, n, PAIR_CHANNELS)
    weight, shift = normal(PAIR_CHANNELS), normal(PAIR_CHANNELS)
    hidden = FACTOR * PAIR_CHANNELS
    up = normal(2 * hidden, PAIR_CHANNELS) / PAIR_CHANNELS**0.5
    down = normal(PAIR_CHANNELS, hidden) / hidden**0.5

    def by_rows(x: Tensor, call: Callable[[slice], Tensor]) -> Tensor:
        return torch.cat([call(rows) for rows in row_slices(x)], dim=1)

    def triangle(backend: Any) -> Tensor:
        query, key, value = edges.unbind(1)
        return by_rows(
            query,
            lambda r: triangle_attention(
                query[:, r], key[:, r], value[:, r], bias=bias, mask=pair_mask[:, r],
                backend=backend,
            ),
        )  # fmt: skip

    def transition(backend: Any) -> Tensor:
        return by_rows(
            pair,
            lambda r: gated_transition(
                pair[:, r], norm_weight=weight, norm_bias=shift, up=up, down=down, backend=backend
            ),
        )

    def multiply(outgoing: bool) -> Run:
        return lambda backend: triangle_multiply(left, right, outgoing=outgoing, backend=backend)

    of_pair = pairs * PAIR_CHANNELS
    return [
        Case(
            "triangle_attention", "", triangle, 4.0 * n * of_pair,
            4 * of_pair * size + PAIR_HEADS * pairs * 4, head,
        ),
        *(
            Case(
                "triangle_multiply", variant, multiply(variant == "outgoing"),
                2.0 * n * of_pair, 3 * of_pair * size,
            )
            for variant in ("outgoing", "incoming")
        ),
        Case(
            "attention", "",
            lambda backend: attention(
                *single, bias=single_bias, key_mask=pair_mask[:, 0], backend=backend
            ),
            4.0 * pairs * SINGLE_CHANNELS,
            4 * n * SINGLE_CHANNELS * size + SINGLE_HEADS * pairs * 4,
            SINGLE_CHANNELS // SINGLE_HEADS,
        ),
        Case(
            "layer_norm", "",
            lambda backend: layer_norm(pair, weight, shift, backend=backend),
            0.0, 2 * of_pair * size,
        ),
        Case(
            "gated_transition", "", transition, 6.0 * of_pair * hidden,
            2 * of_pair * size + 3 * hidden * PAIR_CHANNELS * size,
        ),
    ]  # fmt: skip


def backends(op: str, device: str) -> list[str]:
    """Name the backends that can run here; the reference comes first."""
    absent = {"triton"} if device != "cuda" else set()
    if device != "cuda" or importlib.util.find_spec("cuequivariance_torch") is None:
        absent.add("cuequivariance")
    return [name for name in routing.BACKENDS[op] if name not in absent]


def _row(
    case: Case,
    tokens: int,
    device: str,
    dtype: str,
    peaks: dict[str, float],
    repeats: int,
    compile_reference: bool,
    report: Report,
) -> dict[str, Any]:
    calls: dict[str, Callable[[], Any]] = {
        name: partial(case.run, backend=name) for name in backends(case.op, device)
    }
    row: dict[str, Any] = {"op": case.op, "variant": case.variant, "tokens": tokens}
    if compile_reference:
        with contextlib.suppress(Exception):
            began = time.perf_counter()
            compiled = torch.compile(case.run, dynamic=False)
            compiled(backend="reference")
            row["compile_seconds"] = rounded(time.perf_counter() - began, 3)
            calls["compile"] = lambda: compiled(backend="reference")
    expected = calls["reference"]().float()
    scale = float(expected.abs().max())
    row["largest_difference"] = {
        name: rounded(float((call().float() - expected).abs().max()) / scale, 2)
        for name, call in calls.items()
    }
    del expected
    found = _in_turn(calls, device, repeats)
    chosen = routing.choose(
        case.op, device=device, dtype=dtype, channels=case.channels, tokens=tokens
    ).backend
    row["measured"] = found
    row["auto_takes"] = chosen
    row["reference_over"] = {name: ratios(found["reference"], one) for name, one in found.items()}
    row["share_of_device_peak"] = {
        name: _share(case, one["seconds"]["median"], peaks) for name, one in found.items()
    }
    report(
        f"{case.op} {case.variant} {tokens}: "
        + ", ".join(
            f"{name} {one['seconds']['median'] * 1e3:.2f} ms" for name, one in found.items()
        )
    )
    return row


def _share(case: Case, seconds: float, peaks: dict[str, float]) -> dict[str, float]:
    """Say how near an op comes to the best matrix product and the best copy of the device."""
    return {
        "of_matrix_peak": rounded(case.flops / seconds / peaks["flops"], 3),
        "of_bandwidth": rounded(case.bytes / seconds / peaks["bytes"], 3),
    }


def _in_turn(
    calls: dict[str, Callable[[], Any]], device: str, repeats: int
) -> dict[str, dict[str, Any]]:
    samples: dict[str, list[dict[str, Any]]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            samples[name].append(measured(call, device))
    return {name: side_summary(taken) for name, taken in samples.items()}


def _pairformer(precision: Any) -> nn.Module:
    return PairformerBlock(
        SINGLE_CHANNELS, PAIR_CHANNELS, SINGLE_HEADS, PAIR_HEADS, precision=precision
    )


def _folding_block() -> nn.Module:
    from itda.models.esmfold.config import EsmFoldConfig
    from itda.models.esmfold.modeling import FoldingBlock

    return FoldingBlock(EsmFoldConfig(vocabulary=("<cls>",)))


def _mini_block() -> nn.Module:
    from itda.models.mini.config import MiniConfig

    config = MiniConfig()
    return PairStackBlock(
        config.single_channels, config.pair_channels, config.single_heads,
        pair_heads=config.pair_heads,
    )  # fmt: skip


BLOCKS: dict[str, Callable[[], nn.Module]] = {
    "Pairformer": lambda: _pairformer("float32"),
    "ESMFold": _folding_block,
    "mini": _mini_block,
}
"""Trunk blocks by family, with random weights; Pairformer's is measured in bfloat16 besides."""


def _block_row(name: str, tokens: int, device: str, repeats: int, report: Report) -> dict[str, Any]:
    """Measure one block with the routed ops and with the plain reference ops."""
    module = BLOCKS[name]().to(device).eval()
    randomise(module)
    channels = {key: _channels(module, key) for key in ("single", "pair")}

    def run(module: nn.Module, backend: str | None) -> Callable[[], Any]:
        def call() -> Any:
            generator = torch.Generator().manual_seed(tokens)
            single = torch.randn(1, tokens, channels["single"], generator=generator).to(device)
            pair = torch.randn(1, tokens, tokens, channels["pair"], generator=generator).to(device)
            mask = torch.ones(1, tokens, dtype=torch.bool, device=device)
            with routing.override(backend) if backend else contextlib.nullcontext():
                return module(single, pair, mask)

        return call

    calls = {"reference": run(module, "reference"), "ours": run(module, None)}
    if name == "Pairformer":
        rounded_module = _pairformer("bfloat16").to(device).eval()
        rounded_module.load_state_dict(module.state_dict())
        calls["ours, bfloat16"] = run(rounded_module, None)
    for call in calls.values():
        call()
    found = _in_turn(calls, device, repeats)
    row = {
        "block": name,
        "tokens": tokens,
        "measured": found,
        "reference_over": {key: ratios(found["reference"], one) for key, one in found.items()},
    }
    report(
        f"{name} block {tokens}: "
        + ", ".join(f"{key} {one['seconds']['median']:.3f} s" for key, one in found.items())
    )
    return row


def _channels(module: nn.Module, key: str) -> int:
    layer = "single_attention.norm" if key == "single" else "outgoing.norm"
    norm = module.get_submodule(layer)
    assert isinstance(norm, nn.LayerNorm)
    return norm.normalized_shape[0]
