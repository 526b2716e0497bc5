"""Triangle attention by NVIDIA's cuEquivariance, where its package is installed.

Source: https://docs.nvidia.com/cuda/cuequivariance, `cuequivariance_torch.triangle_attention`. It
gives gradients. A masked key has a score of -1e9 there, so a row without any key would be averaged;
such rows are set to 0 here, as every backend does.
"""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from itda.ops.routing import missing


def triangle_attention(
    query: Float[Tensor, "batch row col head channel"],
    key: Float[Tensor, "batch row col head channel"],
    value: Float[Tensor, "batch row col head channel"],
    bias: Float[Tensor, "batch head col col"],
    mask: Bool[Tensor, "batch row col"],
) -> Float[Tensor, "batch row col head channel"]:
    """Bring heads before columns, as the package wants them, and back.

    Raises:
        DependencyError: The package is not installed, or its kernels are not.
    """
    try:
        from cuequivariance_torch import triangle_attention as fused
    except ImportError as error:
        package = "cuequivariance_torch"
        raise missing("triangle_attention", "cuequivariance", package) from error
    try:
        mixed: Tensor = fused(
            query.transpose(2, 3).contiguous(),
            key.transpose(2, 3).contiguous(),
            value.transpose(2, 3).contiguous(),
            bias[:, None].float().contiguous(),
            mask=mask[:, :, None, None, :],
            scale=query.shape[-1] ** -0.5,
        )
    except ImportError as error:
        # The package imports its kernels, which are a second package, when it is called.
        raise missing(
            "triangle_attention",
            "cuequivariance",
            "cuequivariance_ops_torch",
            install="cuequivariance-ops-torch-cu12 (or -cu13)",
        ) from error
    any_key = mask.any(-1)[:, :, None, None, None]
    return (mixed.transpose(2, 3) * any_key.to(mixed.dtype)).to(value.dtype)
