"""Folders of structure files: each compared with itself, read as training data and as a template.

For every file: `itda compare F F`, the chains that `itda data build structures` would keep, and a
template read for each of them; and the residues of its proteins beside those that gemmi finds by
its own reading, which Itda does not use. A verdict a file, with the reason for each difference
that can be told from the files, and a total.

    python benchmarks/structure_folder.py [NAME=]FOLDER... [--output FILE]
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gemmi
import numpy as np

from itda.bench.record import provenance, write_record
from itda.errors import ItdaError
from itda.job.entities import TemplateFile
from itda.search.templates.from_file import read_template
from itda.structure.chains.chain import Chain
from itda.structure.chains.structures import SUFFIXES, StructureFilters, read_structures
from itda.structure.compare import compare
from itda.structure.files import StructureFile, open_structure
from itda.structure.residues import Residues

EVERY_CHAIN = StructureFilters(
    max_resolution_angstrom=math.inf, min_length=1, max_length=2**31, min_completeness=0.0
)
SHOWN = 4

Residue = tuple[str, str, str]
"""Chain, number with insertion code, name."""


@dataclass
class Verdict:
    path: str
    verdict: str
    residues: int = 0
    problems: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)


@dataclass
class Theirs:
    """What gemmi reads.

    Attributes:
        residues: Of the peptides of the first model, with a CA.
        lacking: Those without a CA.
        error: Why there are none.
    """

    residues: list[Residue] = field(default_factory=list)
    lacking: list[Residue] = field(default_factory=list)
    error: str = ""


def judge(path: Path, name: str) -> Verdict:
    warnings.simplefilter("ignore")
    theirs = read_with_gemmi(path)
    try:
        opened = open_structure(path, hydrogens=False)
    except ItdaError as error:
        told = theirs.error or f"{len(theirs.residues)} residues"
        reason = error.problem.removeprefix(f"{path}: ")
        return Verdict(
            name, "refused", problems=[reason, f"gemmi: {told}"], kinds=[kind_of(reason)]
        )
    ours = our_residues(Residues.from_atoms(opened.atoms))
    found = Verdict(name, "as gemmi" if ours or theirs.residues else "no protein", len(ours))
    if theirs.error:
        found.verdict = "read by Itda alone"
        found.problems.append(f"gemmi: {theirs.error}")
    else:
        explain(found, ours, theirs)
    if ours:
        problems = check_uses(path, opened, len(ours))
        found.problems += problems
        found.verdict = "fails" if problems else found.verdict
    return found


def kind_of(reason: str) -> str:
    return "".join("N" if letter.isdigit() else letter for letter in reason)[:60]


def explain(found: Verdict, ours: list[Residue], theirs: Theirs) -> None:
    """Say which residues only one side has, and why, where the files tell."""
    only_ours = Counter(ours) - Counter(theirs.residues)
    only_theirs = Counter(theirs.residues) - Counter(ours)
    kinds: Counter[str] = Counter()
    if theirs.lacking:
        kinds["gemmi counts residues without a CA"] += len(theirs.lacking)
    if only_ours or only_theirs:
        found.verdict = "differs from gemmi"
    chains = {chain for chain, _, _ in theirs.residues}
    for side, residues, others in (
        ("Itda", only_ours, only_theirs),
        ("gemmi", only_theirs, only_ours),
    ):
        places = {one[:2] for one in others}
        moved = {one[1:] for one in others}
        left = []
        for one in residues.elements():
            if one[:2] in places:
                kinds["another conformer: of highest occupancy, not the first"] += 1
            elif one[1:] in moved:
                kinds["another chain id: given by Itda, or of two letters"] += 1
            elif side == "Itda" and one[0] not in chains:
                kinds["gemmi sees no peptide in the chain"] += 1
            else:
                kinds[f"only {side}: another reason"] += 1
                left.append(" ".join(one))
        if left:
            found.problems.append(f"only {side}: {len(left)} ({', '.join(left[:SHOWN])})")
    found.kinds = [f"{kind}: {count}" for kind, count in kinds.items()]


def check_uses(path: Path, opened: StructureFile, residues: int) -> list[str]:
    problems = []
    try:
        scores = compare(opened.atoms, opened.atoms)
    except ItdaError as error:
        problems.append(f"compare: {error.problem}")
    else:
        values = (scores.lddt_ca, scores.lddt_all_atom, scores.tm_score, scores.gdt_ts)
        off = any(value is not None and abs(value - 1) > 1e-6 for value in values)
        if off or scores.rmsd_ca_angstrom > 1e-3:
            problems.append(f"compare: {values}, RMSD {scores.rmsd_ca_angstrom}")
    chains = [item for item in read_structures([path], EVERY_CHAIN) if isinstance(item, Chain)]
    kept = sum(len(chain) for chain in chains)
    if kept != residues:
        problems.append(f"chains: {kept} residues of {residues}")
    for chain in chains:
        name = chain.id.removeprefix(f"{path.name.split('.')[0]}_") or None
        try:
            template = read_template(TemplateFile(path=path, chain=name), chain.sequence)
        except (ItdaError, ValueError) as error:
            problems.append(f"template {name}: {error}")
        else:
            if len(template.query_index) != len(chain):
                problems.append(f"template {name}: {len(template.query_index)} of {len(chain)}")
    return problems


def our_residues(residues: Residues) -> list[Residue]:
    return [
        (
            residues.chain_ids[index],
            f"{residues.numbers[index]}{residues.insertion_codes[index]}",
            residues.names[index],
        )
        for index in np.flatnonzero(residues.peptide_mask)
    ]


def read_with_gemmi(path: Path) -> Theirs:
    if ".bcif" in path.name:
        return Theirs(error="does not read BinaryCIF")
    try:
        structure = gemmi.read_structure(str(path))
    except (RuntimeError, ValueError, IndexError) as error:
        return Theirs(error=str(error).replace(str(path), path.name))
    structure.setup_entities()
    if len(structure) == 0:
        return Theirs(error="no model")
    found = Theirs()
    for chain in structure[0]:
        polymer = chain.get_polymer()
        if polymer.check_polymer_type() not in (
            gemmi.PolymerType.PeptideL,
            gemmi.PolymerType.PeptideD,
        ):
            continue
        for residue in polymer.first_conformer():
            named = (
                chain.name,
                f"{residue.seqid.num}{residue.seqid.icode.strip()}",
                residue.name,
            )
            has_alpha = any(atom.name == "CA" for atom in residue)
            (found.residues if has_alpha else found.lacking).append(named)
    return found


def summary(verdicts: list[Verdict]) -> dict[str, Any]:
    """Count verdicts, and list every file that is not read as gemmi reads it."""
    return {
        "files": len(verdicts),
        "residues": sum(one.residues for one in verdicts),
        "verdicts": dict(Counter(one.verdict for one in verdicts)),
        "listed": {
            one.path: {"verdict": one.verdict, "why": [*one.kinds, *one.problems]}
            for one in verdicts
            if one.verdict not in ("as gemmi", "no protein")
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", metavar="[NAME=]FOLDER", nargs="+")
    parser.add_argument("--output", type=Path, help="Write counts and listed cases as JSON.")
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    began, started = provenance(), time.perf_counter()
    results: dict[str, list[Verdict]] = {}
    with ProcessPoolExecutor(options.processes) as pool:
        for given in options.folders:
            name, _, folder = given.rpartition("=")
            name = name or Path(folder).name
            results[name] = []
            paths = sorted(
                path
                for path in Path(folder).rglob("*")
                if path.is_file() and path.name.lower().removesuffix(".gz").endswith(SUFFIXES)
            )
            names = [path.relative_to(folder).as_posix() for path in paths]
            for verdict in pool.map(judge, paths, names):
                results[name].append(verdict)
                line = (f"{name}/{verdict.path}: {verdict.verdict}", *verdict.kinds)
                print(*line, *verdict.problems, sep="  ", flush=True)
    every = [one for verdicts in results.values() for one in verdicts]
    for name, verdicts in [*results.items(), ("total", every)]:
        print(name, len(verdicts), dict(Counter(one.verdict for one in verdicts)))
    if options.output:
        values = {
            "seconds": round(time.perf_counter() - started),
            "gemmi": version("gemmi"),
            "total": dict(Counter(one.verdict for one in every)),
            "files": len(every),
            "folders": {name: summary(verdicts) for name, verdicts in results.items()},
        }
        write_record(options.output, "structure_folder", values, began=began)


if __name__ == "__main__":
    main()
