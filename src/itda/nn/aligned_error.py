"""From a pair representation to PAE and pTM, without all bins of all pairs at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from itda.confidence.scores import tm_of_bins
from itda.nn.rows import row_slices


def aligned_error(
    pair: Float[Tensor, "1 row col channel"],
    logits: Callable[[Float[Tensor, "1 part col channel"]], Float[Tensor, "1 part col bin"]],
    *,
    bin_angstrom: float,
    tokens: Int[Tensor, "residue"] | None = None,
) -> tuple[Float[np.ndarray, "residue residue"], float]:
    """Read the binned error of a structure's pairs, a few rows at a time.

    Args:
        pair: Of one structure; row: residue aligned on.
        logits: The head, for a stretch of rows.
        bin_angstrom: Width of the bins, which begin at 0.
        tokens: Those that are residues; all unless told.

    Returns:
        PAE in angstrom, and pTM (AlphaFold 2 SI, 1.9.7).
    """
    residues = pair.shape[1] if tokens is None else len(tokens)
    errors, expected = [], []
    with torch.no_grad():
        for rows in row_slices(pair):
            part = pair[:, rows]
            if tokens is not None:
                inside = tokens[(tokens >= rows.start) & (tokens < rows.stop)] - rows.start
                if not len(inside):
                    continue
                part = part[:, inside][:, :, tokens]
            bins = torch.softmax(logits(part)[0].float(), dim=-1)
            values = tm_of_bins(bins.shape[-1], residues=residues, bin_angstrom=bin_angstrom)
            read = bins @ torch.from_numpy(values.T.astype(np.float32)).to(bins.device)
            errors.append(read[..., 0])
            expected.append(read[..., 1].mean(-1))
    return torch.cat(errors).cpu().numpy(), float(torch.cat(expected).max())
