"""Many chains to named byte sections and back.

Coordinates come back within 0.025 angstrom along each axis of a local frame (0.043 angstrom at
most). Square roots of profile frequencies come back within 1/24 before a row is brought to sum 1.
All else is exact.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float, UInt8

from itda.errors import DataError
from itda.language import Message
from itda.structure.chains.chain import ATOM_COUNT, BACKBONE_INDICES, PROFILE_COLUMNS, Chain
from itda.structure.pack.backbone import (
    CLASSES,
    BackboneCode,
    classify,
    decode_backbone,
    encode_backbone,
)
from itda.structure.pack.streams import compress, decode_integers, decompress, encode_integers
from itda.train.pack.side_chains import (
    AtomRule,
    count_steps,
    decode_side_chains,
    encode_side_chains,
)

PROFILE_STEPS = 12
SECTIONS = (
    "chains",
    "sequence",
    "dssp",
    "gaps",
    "first",
    "mask",
    "origins",
    "backbone_means",
    "backbone",
    "side_chain_rules",
    "side_chains",
    "profile",
)

_COLUMNS = (
    "id",
    "length",
    "profile",
    "dssp",
    "release_date",
    "resolution",
    "method",
    "source",
)


def encode_chains(chains: Sequence[Chain]) -> dict[str, bytes]:
    """Encode chains.

    Args:
        chains: At least one.

    Returns:
        Compressed sections by name.
    """
    lengths = np.array([len(chain) for chain in chains], np.int64)
    sequence = np.frombuffer("".join(chain.sequence for chain in chains).encode(), np.uint8)
    dssp = np.frombuffer(
        "".join(chain.dssp or "-" * len(chain) for chain in chains).encode(), np.uint8
    )
    has_dssp = np.repeat([chain.dssp is not None for chain in chains], lengths)
    coordinates = np.concatenate([chain.coordinates for chain in chains])
    mask = np.concatenate([chain.atom_mask for chain in chains])
    classes = classify(sequence, dssp, has_dssp)
    backbone, decoded = encode_backbone(
        coordinates[:, BACKBONE_INDICES].astype(np.float64),
        mask[:, BACKBONE_INDICES],
        lengths,
        classes,
    )
    rules, steps = encode_side_chains(sequence, coordinates, mask, decoded)
    gaps = [np.diff(chain.residue_index, prepend=chain.residue_index[0] - 1) for chain in chains]
    firsts = np.array([chain.residue_index[0] for chain in chains], np.int64)
    by_class = np.argsort(classes, kind="stable")
    profiles = [encode_profile(chain.profile) for chain in chains if chain.profile is not None]
    sections = {
        "chains": _encode_table(chains),
        "sequence": sequence.tobytes(),
        "dssp": dssp[has_dssp].tobytes(),
        "gaps": encode_integers(np.concatenate(gaps) - 1),
        "first": firsts.astype("<i8").tobytes(),
        "mask": np.packbits(mask, axis=1).tobytes(),
        "origins": backbone.origins.astype("<i8").tobytes(),
        "backbone_means": backbone.means_angstrom.astype("<f8").tobytes(),
        "backbone": encode_integers(backbone.residuals[by_class].transpose(1, 2, 0).ravel()),
        "side_chain_rules": json.dumps([rule.to_list() for rule in rules]).encode(),
        "side_chains": encode_integers(
            np.concatenate([part.ravel() for part in steps]) if steps else np.zeros(0, np.int64)
        ),
        "profile": b"".join(profile.tobytes() for profile in profiles),
    }
    return {name: compress(data) for name, data in sections.items()}


def decode_chains(packed: Mapping[str, bytes]) -> Iterator[Chain]:
    """Undo `encode_chains`, in the same order.

    Raises:
        DataError: A section is missing, not whole, or does not fit the others.
    """
    try:
        yield from _decode({name: decompress(data) for name, data in packed.items()})
    except (KeyError, ValueError, IndexError) as error:
        raise DataError(
            Message("packed chains do not fit each other: {error}", error=error)
        ) from error


def encode_profile(profile: Float[np.ndarray, "residue 20"]) -> UInt8[np.ndarray, "residue 20"]:
    """Round the square roots of frequencies, which tell rare residues apart, to 12 steps."""
    return np.asarray(np.rint(np.sqrt(profile) * PROFILE_STEPS), np.uint8)


def decode_profile(code: UInt8[np.ndarray, "residue 20"]) -> Float[np.ndarray, "residue 20"]:
    """Undo `encode_profile` and bring each row with any frequency to sum 1."""
    profile = (code.astype(np.float32) / PROFILE_STEPS) ** 2
    total = profile.sum(axis=1, keepdims=True)
    return profile / np.where(total > 0, total, 1)


def _decode(sections: Mapping[str, bytes]) -> Iterator[Chain]:
    rows = list(csv.DictReader(io.StringIO(sections["chains"].decode()), delimiter="\t"))
    lengths = np.array([int(row["length"]) for row in rows], np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    total = int(starts[-1])
    sequence = np.frombuffer(sections["sequence"], np.uint8)
    if len(sequence) != total:
        raise DataError(Message("packed chains do not fit each other: sequence and table differ"))
    has_dssp = np.repeat([row["dssp"] == "1" for row in rows], lengths)
    dssp = np.full(total, ord("-"), np.uint8)
    dssp[has_dssp] = np.frombuffer(sections["dssp"], np.uint8)
    packed_mask = np.frombuffer(sections["mask"], np.uint8).reshape(total, -1)
    mask = np.unpackbits(packed_mask, axis=1, count=ATOM_COUNT).astype(bool)
    classes = classify(sequence, dssp, has_dssp)
    by_class = np.argsort(classes, kind="stable")
    residuals = np.zeros((total, 4, 3), np.int64)
    stored = decode_integers(sections["backbone"], 12 * total).reshape(4, 3, total)
    residuals[by_class] = stored.transpose(2, 0, 1)
    means = np.frombuffer(sections["backbone_means"], "<f8").reshape(CLASSES, 4, 3)
    origins = np.frombuffer(sections["origins"], "<i8").reshape(-1, 3)
    backbone = decode_backbone(BackboneCode(residuals, means, origins), lengths, classes)
    rules = [AtomRule.from_list(values) for values in json.loads(sections["side_chain_rules"])]
    steps = decode_integers(sections["side_chains"], count_steps(rules, sequence, mask))
    gaps = decode_integers(sections["gaps"], total) + 1
    firsts = np.frombuffer(sections["first"], "<i8")
    profiles = np.frombuffer(sections["profile"], np.uint8).reshape(-1, PROFILE_COLUMNS)
    coordinates = decode_side_chains(rules, steps, sequence, mask, backbone)
    profile_row = 0
    for number, row in enumerate(rows):
        own = slice(int(starts[number]), int(starts[number + 1]))
        profile = None
        if row["profile"] == "1":
            profile = decode_profile(profiles[profile_row : profile_row + int(lengths[number])])
            profile_row += int(lengths[number])
        index = np.cumsum(gaps[own]) - gaps[own][0] + firsts[number]
        yield Chain(
            id=row["id"],
            sequence=sequence[own].tobytes().decode(),
            coordinates=coordinates[own],
            atom_mask=mask[own],
            residue_index=index.astype(np.int32),
            profile=profile,
            dssp=dssp[own].tobytes().decode() if row["dssp"] == "1" else None,
            release_date=row["release_date"],
            resolution=float(row["resolution"]),
            method=row["method"],
            source=row["source"],
        )


def _encode_table(chains: Sequence[Chain]) -> bytes:
    stream = io.StringIO()
    table = csv.writer(stream, delimiter="\t", lineterminator="\n")
    table.writerow(_COLUMNS)
    for chain in chains:
        table.writerow(
            [
                chain.id,
                len(chain),
                int(chain.profile is not None),
                int(chain.dssp is not None),
                chain.release_date,
                f"{chain.resolution:g}",
                chain.method,
                chain.source,
            ]
        )
    return stream.getvalue().encode()
