"""Where the structure module starts: chains built from torsions and hung on known structures."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from itda.chem.geometry import (
    C_N_CA_DEGREES,
    CA_C_N_DEGREES,
    PEPTIDE_BOND_ANGSTROM,
    ideal_positions,
)
from itda.nn.structure.rigid import Rigid


def build_chain(
    torsions: Float[Tensor, "batch token 2 2"], mask: Bool[Tensor, "batch token"]
) -> Rigid:
    """Build backbone frames from phi and psi with ideal bonds, angles and trans peptide bonds.

    Args:
        torsions: (sin, cos) of phi and psi of each residue, of length one.
        mask: Residues that count for the centre.

    Returns:
        Frames in angstrom, their CA atoms centred on the origin.
    """
    phi, psi = torsions.unbind(-2)
    frames = _next_residue(psi[:, :-1], phi[:, 1:])
    first = Rigid.identity((torsions.shape[0], 1), torsions)
    frames = Rigid(
        torch.cat([first.rotation, frames.rotation], dim=1),
        torch.cat([first.translation, frames.translation], dim=1),
    )
    # Running products by doubling: each round doubles the steps whose product a frame holds.
    reach = 1
    while reach < torsions.shape[1]:
        joined = Rigid(frames.rotation[:, :-reach], frames.translation[:, :-reach]).compose(
            Rigid(frames.rotation[:, reach:], frames.translation[:, reach:])
        )
        frames = Rigid(
            torch.cat([frames.rotation[:, :reach], joined.rotation], dim=1),
            torch.cat([frames.translation[:, :reach], joined.translation], dim=1),
        )
        reach *= 2
    kept = mask[..., None]
    centre = (frames.translation * kept).sum(1, keepdim=True) / kept.sum(1, keepdim=True).clamp_min(
        1
    )
    return Rigid(frames.rotation, frames.translation - centre)


def _next_residue(psi: Float[Tensor, "batch link 2"], phi: Float[Tensor, "batch link 2"]) -> Rigid:
    """Give the frame of each residue in that of the one before, from psi before and phi after."""
    ideal = ideal_positions()["ALA"]
    n, ca, c = (psi.new_tensor(ideal[name]).expand(*psi.shape[:2], 3) for name in ("N", "CA", "C"))
    tau = math.degrees(math.atan2(ideal["N"][1], ideal["N"][0]))
    straight = torch.stack([torch.zeros_like(psi[..., 0]), -torch.ones_like(psi[..., 0])], dim=-1)
    next_n = _place(n, ca, c, PEPTIDE_BOND_ANGSTROM, CA_C_N_DEGREES, psi)
    next_ca = _place(ca, c, next_n, math.hypot(*ideal["N"][:2]), C_N_CA_DEGREES, straight)
    next_c = _place(c, next_n, next_ca, ideal["C"][0], tau, phi)
    return Rigid.from_three_points(next_ca, next_c, next_n)


def _place(
    a: Float[Tensor, "*shape 3"],
    b: Float[Tensor, "*shape 3"],
    c: Float[Tensor, "*shape 3"],
    length_angstrom: float,
    angle_degrees: float,
    torsion: Float[Tensor, "*shape 2"],
) -> Float[Tensor, "*shape 3"]:
    """Place an atom after c by bond length, angle at c, and (sin, cos) of the torsion about b-c."""
    frame = Rigid.from_three_points(c, 2 * c - b, c + (a - b))
    angle = math.radians(angle_degrees)
    sine, cosine = torsion.unbind(-1)
    local = torch.stack(
        [
            torch.full_like(sine, -length_angstrom * math.cos(angle)),
            length_angstrom * math.sin(angle) * cosine,
            length_angstrom * math.sin(angle) * sine,
        ],
        dim=-1,
    )
    return frame.apply(local)


def hang_chain(chain: Rigid, anchors: Rigid, anchored: Bool[Tensor, "batch token"]) -> Rigid:
    """Put a chain through frames that are known for some of its residues.

    Known residues take their frames. A stretch before the first or after the last of them goes on
    from there as the chain goes. A stretch between two is laid out from either end and blended, so
    that it starts and ends where it must; bonds inside it may stretch.

    Args:
        chain: A whole chain, anywhere; angstrom.
        anchors: Known frames; without meaning where `anchored` is False.
        anchored: Residues whose frame is known; a chain without any stays as it is.

    Returns:
        Frames in the coordinates of the anchors, angstrom.
    """
    position = torch.arange(anchored.shape[1], device=anchored.device).expand(anchored.shape)
    before = torch.where(anchored, position, -1).cummax(1).values
    after = torch.where(anchored, position, anchored.shape[1]).flip(1).cummin(1).values.flip(1)
    has_before, has_after = before >= 0, after < anchored.shape[1]
    before, after = before.clamp_min(0), after.clamp_max(anchored.shape[1] - 1)
    laid = [
        anchors.gather(end).compose(chain.gather(end).invert()).compose(chain)
        for end in (before, after)
    ]
    share = (position - before) / (after - before).clamp_min(1)
    share = torch.where(has_before & has_after, share, has_after.float())[..., None]
    nearer = (share < 0.5)[..., None]
    rotation = torch.where(nearer, laid[0].rotation, laid[1].rotation)
    translation = (1 - share) * laid[0].translation + share * laid[1].translation
    free = ~anchored.any(1)[:, None, None]
    return Rigid(
        torch.where(free[..., None], chain.rotation, rotation),
        torch.where(free, chain.translation, translation),
    )
