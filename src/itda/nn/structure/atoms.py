"""Heavy atoms from frames and torsions."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from itda.chem.geometry import rigid_group_tables
from itda.chem.literature import AtomPlacement
from itda.nn.structure.rigid import Rigid
from itda.ops.arithmetic import widened


class AtomBuilder(nn.Module):
    """Place all heavy atoms from backbone frames and torsions (AlphaFold 2 SI, algorithm 24).

    Its tables are not part of the state.

    Args:
        placement: Rigid groups of the residues; mini's own unless told.
    """

    atom_group: Tensor
    atom_position: Tensor
    atom_mask: Tensor
    default_rotation: Tensor
    default_translation: Tensor

    def __init__(self, placement: AtomPlacement | None = None) -> None:
        super().__init__()
        tables = placement or rigid_group_tables()
        self.parents = tables.group_parents
        for name, array in {
            "atom_group": tables.atom14_group,
            "atom_position": tables.atom14_position,
            "atom_mask": tables.atom14_mask,
            "default_rotation": tables.default_rotation,
            "default_translation": tables.default_translation,
        }.items():
            self.register_buffer(name, torch.from_numpy(array.copy()), persistent=False)

    def forward(
        self,
        restype: Int[Tensor, "batch token"],
        frames: Rigid,
        torsions: Float[Tensor, "batch token torsion 2"],
    ) -> Float[Tensor, "batch token 14 3"]:
        """Give positions in angstrom; columns outside the residue's atoms lie at its CA."""
        with torch.autocast(restype.device.type, enabled=False):
            return self._place(restype, frames, torsions)

    def _place(
        self,
        restype: Int[Tensor, "batch token"],
        frames: Rigid,
        torsions: Float[Tensor, "batch token torsion 2"],
    ) -> Float[Tensor, "batch token 14 3"]:
        sine, cosine = widened(torsions).unbind(-1)
        zero, one = torch.zeros_like(sine), torch.ones_like(sine)
        about_x = torch.stack(
            [one, zero, zero, zero, cosine, -sine, zero, sine, cosine], dim=-1
        ).unflatten(-1, (3, 3))
        default = Rigid(self.default_rotation[restype], self.default_translation[restype])
        groups = [frames]
        for group, parent in enumerate(self.parents, 1):
            turned = Rigid(
                default.rotation[..., group, :, :] @ about_x[..., group - 1, :, :],
                default.translation[..., group, :],
            )
            groups.append(groups[parent].compose(turned))
        rotation = torch.stack([group.rotation for group in groups], dim=-3)
        translation = torch.stack([group.translation for group in groups], dim=-2)
        chosen = self.atom_group[restype]
        atom_frames = Rigid(
            rotation.gather(-3, chosen[..., None, None].expand(*chosen.shape, 3, 3)),
            translation.gather(-2, chosen[..., None].expand(*chosen.shape, 3)),
        )
        placed = atom_frames.apply(self.atom_position[restype])
        return torch.where(
            self.atom_mask[restype][..., None], placed, frames.translation[..., None, :]
        )
