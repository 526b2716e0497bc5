"""Sizes, dtypes and the measure that every backend is compared with."""

import torch

LADDER = (7, 64, 127, 128, 200, 257, 384)
"""Tokens: below, at and beside multiples of every tile."""

DTYPES = (torch.float32, torch.bfloat16, torch.float16)

FARTHEST = {torch.float32: 1e-5, torch.bfloat16: 1e-2, torch.float16: 2e-3}
"""The largest difference allowed, as a part of the largest number of the reference."""

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def distance(got: torch.Tensor, exact: torch.Tensor) -> float:
    """The largest difference as a part of the largest number; infinite where one is not finite."""
    assert got.shape == exact.shape
    exact = exact.float().to(got.device)
    if not got.isfinite().all():
        return float("inf")
    return float((got.float() - exact).abs().max() / exact.abs().max().clamp_min(1e-6))


def masks(rows: int, columns: int, generator: torch.Generator) -> torch.Tensor:
    """Rows by turns whole, with holes, and without anything."""
    mask = torch.rand(1, rows, columns, generator=generator) > 0.3
    mask[:, 0::3] = True
    mask[:, 2::3] = False
    mask[:, 1::3, columns // 2] = True
    return mask
