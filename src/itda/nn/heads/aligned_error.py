"""From a pair representation to PAE and pTM, without all bins of all pairs at once.

A network that reads the error from its pairs foresees the error of one structure, its answer. A
sample that was drawn beside the answer lies some way from it, at random and so in a direction that
has nothing to do with where the truth lies. Its error is the distance of two points: one moved by
that much from the answer, the other, the truth, at the foreseen distance from it in any direction.
With an offset d, a foreseen error e and the angle between them uniform on the sphere, the squared
distance is uniform between (d - e)^2 and (d + e)^2, which gives both means in closed form.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from itda.confidence.scores import tm_of_bins, tm_scale
from itda.nn.rows import row_slices


def aligned_error(
    pair: Float[Tensor, "1 row col channel"],
    logits: Callable[[Float[Tensor, "1 part col channel"]], Float[Tensor, "1 part col bin"]],
    *,
    bin_angstrom: float,
    tokens: Int[Tensor, "residue"] | None = None,
    moved: Callable[[slice], Float[Tensor, "part col"]] | None = None,
) -> tuple[Float[np.ndarray, "residue residue"], float]:
    """Read the binned error of a structure's pairs, a few rows at a time.

    Args:
        pair: Of one structure; row: residue aligned on.
        logits: The head, for a stretch of rows.
        bin_angstrom: Width of the bins, which begin at 0.
        tokens: Those that are residues; all unless told.
        moved: Of a sample, for a stretch of rows: how far from the structure that the pairs foresee
            the error of, in the frame of the row's residue, angstrom.

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
            if moved is None:
                read = bins @ torch.from_numpy(values.T.astype(np.float32)).to(bins.device)
                errors.append(read[..., 0])
                expected.append(read[..., 1].mean(-1))
                continue
            offset = moved(rows) if tokens is None else moved(rows)[inside][:, tokens]
            centres = torch.from_numpy(values[0].astype(np.float32)).to(bins.device)
            error, gain = beside(offset, centres, scale_angstrom=tm_scale(residues))
            errors.append((bins * error).sum(-1))
            expected.append((bins * gain).sum(-1).mean(-1))
    return torch.cat(errors).cpu().numpy(), float(torch.cat(expected).max())


def beside(
    offset: Float[Tensor, "*shape"], error: Float[Tensor, "bin"], *, scale_angstrom: float
) -> tuple[Float[Tensor, "*shape bin"], Float[Tensor, "*shape bin"]]:
    """Give what is to be expected of a point that lies beside the one whose error is foreseen.

    Args:
        offset: How far, angstrom, in a direction that is independent of the error's.
        error: Foreseen distances to the truth, angstrom, above 0.
        scale_angstrom: d0 of the TM-score.

    Returns:
        The mean distance to the truth, angstrom, and the mean of what it adds to a TM-score.
    """
    offset = offset[..., None]
    larger, smaller = torch.maximum(offset, error), torch.minimum(offset, error)
    distance = larger + smaller**2 / (3 * larger)
    nearest = scale_angstrom**2 + (offset - error) ** 2
    # log(1 + x) / x is 1 at 0, where it cannot be computed.
    ratio = (4 * offset * error / nearest).clamp_min(1e-6)
    return distance, scale_angstrom**2 / nearest * torch.log1p(ratio) / ratio
