"""FlashABB beside the package `flash-abb`, and beside experiment.

    python benchmarks/flashabb.py antibodies.npz

The file holds experimental structures of antibodies: `id`, `path` (chains of one path share a
frame; `_r_b` in it marks a bound antibody, `_r_u` an unbound one), `offset`, `seq` (ASCII),
`coords_mA` (of the atoms that are there, 0.001 angstrom) and `atom37_mask_packed`. Both sides run
in one process, in turn, on one thread; seconds are processor seconds.
"""

from __future__ import annotations

import argparse
import collections
import functools
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from itda.bench.record import SOURCE as ROOT
from itda.bench.record import write_record

BATCH = 16
REPEATS = 7
N, CA, C = 0, 1, 2
BACKBONE14, BACKBONE37 = [0, 1, 2, 3], [0, 1, 2, 4]  # N, CA, C, O in both orders of atoms
HEAVY_REGIONS = (
    ("FR", "EVQLLESGGGLVQPGGSLRLSCAAS"), ("H1", "GFTFSSYA"), ("FR", "MSWVRQAPGKGLEWVSA"),
    ("H2", "ISGSGGST"), ("FR", "YYADSVKGRFTISRDNSKNTLYLQMNSLRAEDTAVYYC"), ("H3", "AKDYFDY"),
    ("FR", "WGQGTLVTVSS"),
)  # fmt: skip
LIGHT_REGIONS = (
    ("FR", "DIQMTQSPSSLSASVGDRVTITCRAS"), ("L1", "QSISSY"), ("FR", "LNWYQQKPGKAPKLLIY"),
    ("L2", "AAS"),  # codespell:ignore aas
    ("FR", "SLQSGVPSRFSGSGSGTDFTLTISSLQPEDFATYYC"), ("L3", "QQSYSTPLT"),
    ("FR", "FGGGTKVEIK"),
)  # fmt: skip
"""Regions of IMGT (Lefranc et al. 2003); CDR3 stands between Cys104 and Trp118 or Phe118."""


@dataclass(frozen=True)
class Chain:
    sequence: str
    atoms: np.ndarray  # residue, atom37, 3; NaN where there is none
    regions: list[str]


@dataclass(frozen=True)
class Antibody:
    name: str
    state: str
    heavy: Chain
    light: Chain | None

    @property
    def chains(self) -> list[Chain]:
        return [self.heavy] if self.light is None else [self.heavy, self.light]

    @property
    def pair(self) -> tuple[str, str]:
        return self.heavy.sequence, "" if self.light is None else self.light.sequence


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("structures", type=Path)
    parser.add_argument("--side", choices=("ours", "reference"), help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/flashabb.json")
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    antibodies, left_out = read_antibodies(arguments.structures)
    bound = [one for one in antibodies if one.state == "bound"]
    paired = [one for one in bound if one.light is not None]
    if arguments.side:
        print(peak_of(arguments.side, paired[:BATCH]))
        return
    model, reference = load_ours(), load_reference()
    numbers = parity(paired, model, reference)
    seconds = {"single": timing(paired, 1, model, reference),
               f"batch of {BATCH}": timing(paired, BATCH, model, reference)}  # fmt: skip
    peak = {
        side: int(subprocess.check_output(
            [sys.executable, __file__, str(arguments.structures), "--side", side], text=True
        ))
        for side in ("ours", "reference")
    }  # fmt: skip
    rows = [accuracy(one, model) for one in antibodies]
    write_record(
        arguments.output,
        "flashabb",
        {
            "threads": 1,
            "parity": numbers,
            "processor_seconds_per_antibody": seconds,
            f"peak_bytes_in_a_batch_of_{BATCH}": {
                **peak, "ours_over_reference": peak["ours"] / peak["reference"]
            },
            "accuracy": {
                "definitions": "RMSD, angstrom, of CA, or of N, CA, C, O where `backbone` stands; "
                "framework: of both chains, superposed at once; CDRs (IMGT; H3 between Cys104 and "
                "Trp118) after superposing the framework of their own chain on its CA",
                "left_out": left_out,
                "means": {
                    f"{state}, {kind}": mean_of(rows, state, kind)
                    for state in ("bound", "unbound")
                    for kind in ("heavy and light", "nanobody")
                },
                "rows": rows,
            },
            "peptide_bonds": peptide_bonds(paired, model, reference),
            "nanobodies_by_what_stands_in_for_the_light_chain": stand_ins(bound, model),
            "mean_plddt": {
                kind: {"lowest": min(values), "highest": max(values)}
                for kind in ("heavy and light", "nanobody")
                if (values := [row["mean_plddt"] for row in rows if row["kind"] == kind])
            },
        },
    )  # fmt: skip


def load_ours() -> Any:
    from itda.models.flashabb import FAMILY

    return FAMILY.load(None, "cpu")


def load_reference() -> Any:
    from flash_abb import pretrained

    return pretrained(device="cpu")


def run_reference(reference: Any, pairs: list[tuple[str, str]]) -> Any:
    import torch

    with torch.no_grad():
        return reference([f"{heavy}|{light}" for heavy, light in pairs]).output


def parity(antibodies: list[Antibody], model: Any, reference: Any) -> dict[str, Any]:
    """Compare each antibody alone, and in batches that pad on the reference's side."""
    import torch

    worst: dict[str, list[float]] = collections.defaultdict(list)
    for one in antibodies:
        ours, theirs = model.run([one.pair]), run_reference(reference, [one.pair])
        atoms = theirs["positions"][-1][0]
        exists = atoms.abs().sum(-1) > 0
        worst["ca_rmsd"].append(rmsd(ours.atoms[:, CA].numpy(), atoms[:, CA].numpy()))
        worst["any_atom"].append(float((ours.atoms - atoms).norm(dim=-1)[exists].max()))
        probabilities = [torch.softmax(x, -1) for x in (ours.lddt_logits, theirs["plddt"][0])]
        centres = (torch.arange(50) + 0.5) / 50
        worst["plddt"].append(
            float((probabilities[0] @ centres - probabilities[1] @ centres).abs().max())
        )
        worst["plddt_logit"].append(float((ours.lddt_logits - theirs["plddt"][0]).abs().max()))
    centres = (torch.arange(50) + 0.5) / 50
    for first in range(0, len(antibodies), BATCH):
        pairs = [one.pair for one in antibodies[first : first + BATCH]]
        ours, theirs = model.run(pairs), run_reference(reference, pairs)
        start = 0
        for row, pair in enumerate(pairs):
            length = len(pair[0]) + len(pair[1])
            here = slice(start, start + length)
            start += length
            atoms = theirs["positions"][-1][row, :length]
            exists = atoms.abs().sum(-1) > 0
            apart = (ours.atoms[here] - atoms).norm(dim=-1)[exists]
            worst["ca_rmsd_in_batch"].append(
                rmsd(ours.atoms[here, CA].numpy(), atoms[:, CA].numpy())
            )
            worst["any_atom_in_batch"].append(float(apart.max()))
            logits = (ours.lddt_logits[here], theirs["plddt"][row, :length])
            mine, other = (torch.softmax(one, -1) @ centres for one in logits)
            worst["plddt_in_batch"].append(float((mine - other).abs().max()))
    return {
        "antibodies": len(antibodies),
        "largest_difference": {name: max(values) for name, values in worst.items()},
        "units": "angstrom without superposition; pLDDT 0 to 1",
    }


def timing(antibodies: list[Antibody], size: int, model: Any, reference: Any) -> dict[str, Any]:
    found: dict[str, list[float]] = {"ours": [], "reference": []}
    for repeat in range(REPEATS + 1):
        first = (repeat * size) % max(1, len(antibodies) - size)
        pairs = [one.pair for one in antibodies[first : first + size]]
        for side, run in (
            ("ours", model.run),
            ("reference", functools.partial(run_reference, reference)),
        ):
            began = time.process_time()
            run(pairs)
            if repeat:
                found[side].append((time.process_time() - began) / size)
    median = {side: statistics.median(values) for side, values in found.items()}
    return {**median, "reference_over_ours": median["reference"] / median["ours"], "all": found}


def peak_of(side: str, antibodies: list[Antibody]) -> int:
    """Give the growth of this process's peak by one batch."""
    pairs = [one.pair for one in antibodies]
    model = load_ours() if side == "ours" else load_reference()
    run = model.run if side == "ours" else lambda given: run_reference(model, given)
    run(pairs[:1])
    Path("/proc/self/clear_refs").write_text("5")
    before = high_water_bytes()
    run(pairs)
    return high_water_bytes() - before


def high_water_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("peak memory is read from /proc, which only Linux has")


def peptide_bonds(antibodies: list[Antibody], model: Any, reference: Any) -> dict[str, Any]:
    """Lengths of C-N bonds between residues on both sides; 1.33 angstrom is right."""
    import torch

    found: dict[str, list[float]] = collections.defaultdict(list)
    plddts: list[float] = []
    for one in antibodies:
        output = model.run([one.pair])
        theirs = run_reference(reference, [one.pair])["positions"][-1][0]
        bonded = torch.ones(len(theirs) - 1, dtype=torch.bool)
        bonded[len(one.pair[0]) - 1] = False
        for side, atoms in (("ours", output.atoms), ("reference", theirs)):
            lengths = (atoms[:-1, C] - atoms[1:, N]).norm(dim=-1)[bonded]
            found[side] += lengths.tolist()
        plddt = torch.softmax(output.lddt_logits, -1) @ ((torch.arange(50) + 0.5) * 2)
        plddts += torch.minimum(plddt[:-1], plddt[1:])[bonded].tolist()
    confident = np.array(plddts) >= 90
    summary: dict[str, Any] = {"bonds": len(plddts), "of_plddt_90_or_more": int(confident.sum())}
    for side, values in found.items():
        off = np.abs(np.array(values) - 1.33)
        summary[side] = {
            "off_by_more_than_0.1": float((off > 0.1).mean()),
            "off_by_more_than_0.3": float((off > 0.3).mean()),
            "off_by_more_than_0.3_where_plddt_is_90_or_more": float((off[confident] > 0.3).mean()),
            "shortest": min(values),
            "longest": max(values),
        }
    return summary


def stand_ins(antibodies: list[Antibody], model: Any) -> dict[str, Any]:
    """Give nanobodies to the network in each way that there is; means over those bound."""
    from itda.models.flashabb.domains import germlines

    nanobodies = [one for one in antibodies if one.light is None]
    light = germlines()["light"]
    ways: dict[str, Callable[[str], tuple[str, str]]] = {
        "nothing": lambda heavy: (heavy, ""),
        "nothing, the nanobody as light chain": lambda heavy: ("", heavy),
        "itself": lambda heavy: (heavy, heavy),
        "human IGKV1-39": lambda heavy: (heavy, light[0]),
        "human IGLV1-40": lambda heavy: (heavy, light[4]),
    }
    found = {}
    for name, pair in ways.items():
        rows = [accuracy(one, model, pair(one.heavy.sequence)) for one in nanobodies]
        columns = ("framework", "H3", "H3 backbone", "H3_plddt", "mean_plddt")
        found[name] = {
            **{column: statistics.mean(row[column] for row in rows) for column in columns},
            "best H3": min(row["H3"] for row in rows),
            "rows": [{column: row[column] for column in ("name", *columns)} for row in rows],
        }
    return found


def accuracy(one: Antibody, model: Any, given: tuple[str, str] | None = None) -> dict[str, Any]:
    """Compare with experiment.

    Args:
        one: The experiment.
        model: Ours.
        given: What the network is given, if not the antibody's own chains; its first chain, or its
            second where there is no first, is compared.
    """
    import torch

    output = model.run([given or one.pair])
    residues = sum(len(chain.sequence) for chain in one.chains)
    centres = (torch.arange(50) + 0.5) * 2
    plddt = (torch.softmax(output.lddt_logits, -1) @ centres).numpy()[:residues]
    predicted = output.atoms[:residues, CA].numpy()
    backbone = output.atoms[:residues, BACKBONE14].numpy()
    truth = np.concatenate([chain.atoms[:, CA] for chain in one.chains])
    true_backbone = np.concatenate([chain.atoms[:, BACKBONE37] for chain in one.chains])
    regions = np.array([region for chain in one.chains for region in chain.regions])
    chain = np.repeat(np.arange(len(one.chains)), [len(c.sequence) for c in one.chains])
    framework = (regions == "FR") & np.isfinite(truth).all(1)
    moved = superpose(predicted, truth, framework)
    row: dict[str, Any] = {
        "name": one.name, "state": one.state, "residues": len(regions),
        "kind": "nanobody" if one.light is None else "heavy and light",
        "mean_plddt": float(plddt.mean()),
        "framework": rmsd(moved[framework], truth[framework]),
    }  # fmt: skip
    for number in range(len(one.chains)):
        own = framework & (chain == number)
        placed = superpose(predicted, truth, own)
        placed_backbone = superpose(predicted, truth, own, backbone.reshape(-1, 3)).reshape(
            backbone.shape
        )
        for name in sorted({r for r in regions[chain == number] if r != "FR"}):
            inside = (regions == name) & (chain == number) & np.isfinite(truth).all(1)
            row[name] = rmsd(placed[inside], truth[inside])
            there = np.isfinite(true_backbone[inside]).all(-1)
            row[f"{name} backbone"] = rmsd(
                placed_backbone[inside][there], true_backbone[inside][there]
            )
            row[f"{name}_plddt"] = float(plddt[inside].mean())
    known = np.isfinite(truth).all(1)
    error = np.linalg.norm(moved - truth, axis=1)[known]
    row["plddt_r_with_error"] = float(np.corrcoef(plddt[known], error)[0, 1])
    return row


def mean_of(rows: list[dict[str, Any]], state: str, kind: str) -> dict[str, Any]:
    chosen = [row for row in rows if row["state"] == state and row["kind"] == kind]
    keys = [key for key, value in chosen[0].items() if isinstance(value, float)] if chosen else []
    means = {key: statistics.mean(row[key] for row in chosen if key in row) for key in keys}
    if len(chosen) > 2:
        h3, plddt = ([row[key] for row in chosen] for key in ("H3", "H3_plddt"))
        means["r of H3 pLDDT with H3 RMSD"] = float(np.corrcoef(h3, plddt)[0, 1])
    return {"antibodies": len(chosen), **means}


def rmsd(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.sqrt(((first - second) ** 2).sum(-1).mean()))


def superpose(
    moved: np.ndarray, fixed: np.ndarray, on: np.ndarray, points: np.ndarray | None = None
) -> np.ndarray:
    """Move all that `moved` holds, or other points, by what brings `on` of it to `fixed`."""
    from itda.structure.superpose import superpose as find

    return find(moved[on], fixed[on]).apply(moved if points is None else points)


def read_antibodies(path: Path) -> tuple[list[Antibody], dict[str, str]]:
    """Cut the variable domains out; also give what is left out, and why."""
    from itda.models.flashabb.domains import find_domains

    data = np.load(path)
    mask = np.unpackbits(data["atom37_mask_packed"], axis=1)[:, :37].astype(bool)
    first = np.r_[0, np.cumsum(mask.sum(1))]
    found: dict[str, dict[str, Chain]] = collections.defaultdict(dict)
    left_out: dict[str, str] = {}
    for number, place in enumerate(data["path"]):
        a, b = data["offset"][number], data["offset"][number + 1]
        if "_r_" not in str(place):
            continue
        sequence = bytes(data["seq"][a:b]).decode()
        chains = found[str(place)]
        atoms = np.full((b - a, 37, 3), np.nan)
        atoms[mask[a:b]] = data["coords_mA"][first[a] : first[b]] * 1e-3
        for domain in find_domains(sequence):
            cut = slice(domain.first, domain.last + 1)
            regions = HEAVY_REGIONS if domain.kind == "heavy" else LIGHT_REGIONS
            chain = Chain(sequence[cut], atoms[cut], regions_of(sequence[cut], regions))
            if broken(chain.atoms):
                left_out[Path(str(place)).stem] = f"a break in the {domain.kind} chain"
            chains.setdefault(domain.kind, chain)
    left_out |= {
        Path(place).stem: "no variable domain of a heavy chain"
        for place, chains in found.items()
        if "heavy" not in chains
    }
    antibodies = [
        Antibody(
            Path(place).stem.split("_")[0],
            "bound" if place.endswith("_b.pdb") else "unbound",
            chains["heavy"],
            chains.get("light"),
        )
        for place, chains in sorted(found.items())
        if Path(place).stem not in left_out
    ]
    return antibodies, left_out


def broken(atoms: np.ndarray) -> bool:
    gap = np.linalg.norm(atoms[:-1, C] - atoms[1:, N], axis=-1)
    return bool(np.nanmax(gap) > 2.5 or np.isnan(atoms[:, CA]).any())


def regions_of(sequence: str, regions: tuple[tuple[str, str], ...]) -> list[str]:
    """Carry the regions of a germline domain over by alignment; insertions join the CDR beside."""
    from biotite.sequence import ProteinSequence
    from biotite.sequence.align import SubstitutionMatrix, align_optimal

    names = [name for name, text in regions for _ in text]
    text = "".join(text for _, text in regions)
    alignment = align_optimal(
        ProteinSequence(sequence), ProteinSequence(text), SubstitutionMatrix.std_protein_matrix(),
        gap_penalty=(-10, -1), terminal_penalty=False, max_number=1,
    )[0]  # fmt: skip
    carried: list[str | None] = [None] * len(sequence)
    for own, germline in alignment.trace:
        if own >= 0 and germline >= 0:
            carried[own] = names[germline]
    before = filled(carried)
    after = filled(carried[::-1])[::-1]
    return [
        name or (left if left != "FR" else right)
        for name, left, right in zip(carried, before, after, strict=True)
    ]


def filled(names: list[str | None]) -> list[str]:
    last, out = "FR", []
    for name in names:
        last = name or last
        out.append(last)
    return out


if __name__ == "__main__":
    main()
