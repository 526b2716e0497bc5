"""A family of all molecules, as small as one can be: what it asks of the house is all that is real.

Proteins, DNA, RNA, ligands and ions fold together, each residue or nucleotide a token and each atom
of a ligand or modified residue another. Its trunk is worth keeping, its samples come one by one,
and every number hangs on what it was given: evidence, parameters, seed and sample. The places of
its atoms mean nothing.
"""

from __future__ import annotations

import functools
import hashlib
import os
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from biotite.structure import AtomArray
from pydantic import Field

from itda.chem.dictionary import heavy_atoms
from itda.chem.residues import ATOM14, RESTYPE_1_TO_3
from itda.confidence.ranking import INTERFACE, RankingRule
from itda.job.entities import Ion, Ligand, Molecule
from itda.job.model import Job
from itda.job.sizes import smiles_atoms
from itda.models.demand import Demand
from itda.models.family import Capabilities, Order, Portion, Trunk
from itda.models.parameters import FamilyParameters
from itda.models.refusals import refuse_unsupported
from itda.progress import Progress, part_of
from itda.structure.prediction import Prediction, Provenance

if TYPE_CHECKING:
    from itda.models.demand import Load

DIGEST = "sha256:" + "a" * 64
LOG = "ALLATOM_LOG"
"""Names a file that gets a line for each trunk and each sample that is computed."""
STEP_SECONDS = "ALLATOM_STEP_SECONDS"


class AllAtomParameters(FamilyParameters):
    """Of a family that diffuses."""

    steps: Annotated[int, Field(ge=1, le=1000)] = 20
    """Steps of diffusion."""


_CAPABILITIES = Capabilities(
    molecules=frozenset({"protein", "dna", "rna", "ligand", "ion"}),
    max_chains=None,
    min_length=1,
    max_tokens=400,
    inputs=frozenset({"msa", "paired_msa", "rna_msa", "template"}),
    outputs=frozenset(
        {"structure", "plddt", "atom_plddt", "pae", "pde", "contact_probabilities", "ptm", "iptm"}
    ),
    modifications=True,
    bonds=True,
    constraints=False,
)


@dataclass(frozen=True)
class AllAtomFamily:
    """Folds everything together, at random."""

    name: str = "allatom"
    title: str = "All molecules together, for tests"
    licence: str = "CC0-1.0"
    citation: str = "none"
    weight_set: str = "allatom"
    parameters: type[FamilyParameters] = AllAtomParameters
    converter: None = None
    ranking: RankingRule = INTERFACE
    capabilities: Capabilities = _CAPABILITIES

    def check(self, job: Job) -> None:
        refuse_unsupported(job, self)

    def demand(self, load: Load, sizes: Mapping[str, Any] | None = None) -> Demand:
        steps = load.parameters.steps if isinstance(load.parameters, AllAtomParameters) else 20
        pairs = sum(tokens**2 for tokens in load.tokens)
        return Demand(
            weights_bytes=1000,
            live_bytes=12 * pairs + 100 * sum(load.atoms),
            work={"products": pairs + load.samples * steps * sum(load.atoms)},
        )

    def load(self, weights: Path | None, device: str, *, frugal: bool = False) -> AllAtomModel:
        return AllAtomModel(device)


class AllAtomModel:
    weights_digest = DIGEST

    def __init__(self, device: str) -> None:
        self.device = device

    def trunk(
        self, orders: Sequence[Order], *, recycles: int | None, progress: Progress | None
    ) -> list[Trunk]:
        log(*(f"trunk {order.job.name} {order.seed}" for order in orders))
        part_of(progress, 0.0, 1.0)(0.5, "trunk")
        return [{"pair": self._pair(order)} for order in orders]

    def _pair(self, order: Order) -> np.ndarray:
        draws = random_of(order.job.digest(), order.seed, *given(order).values())
        tokens = len(Built(order.job).token_names)
        return draws.random((tokens, tokens)).astype(np.float32)

    def begin(
        self, orders: Sequence[Order], *, recycles: int | None, progress: Progress | None
    ) -> Generator[Portion, None, None]:
        wanted = [(place, sample) for place, one in enumerate(orders) for sample in one.samples]
        for count, (place, sample) in enumerate(wanted):
            order = orders[place]
            assert isinstance(order.parameters, AllAtomParameters) and order.trunk is not None
            told = part_of(progress, count / len(wanted), (count + 1) / len(wanted))
            for step in range(order.parameters.steps):
                told(step / order.parameters.steps, f"sample {sample}")
                time.sleep(float(os.environ.get(STEP_SECONDS, "0")))
            log(f"sample {order.job.name} {order.seed} {sample}")
            yield Portion(((place, sample),), functools.partial(self._finish, order, sample))

    def _finish(self, order: Order, sample: int, progress: Progress | None) -> list[Prediction]:
        built = Built(order.job)
        assert order.trunk is not None and order.parameters is not None
        pair = np.asarray(order.trunk["pair"])
        draws = random_of(DIGEST, sample, str(order.parameters.model_dump()), str(pair.sum()))
        atoms = built.atoms.copy()
        atoms.coord += draws.normal(0, 0.1, atoms.coord.shape).astype(np.float32)
        of_atom = draws.uniform(20, 95, len(atoms)).astype(np.float32)
        atoms.set_annotation("b_factor", of_atom)
        chains = len(order.job.chains)
        counts = np.bincount(built.token_of_atom)
        plddt = np.bincount(built.token_of_atom, weights=of_atom) / counts
        between = draws.uniform(0.1, 0.9, (chains, chains))
        return [
            Prediction(
                name=order.job.name,
                atoms=atoms,
                plddt=plddt.astype(np.float32),
                pae=30 * pair,
                ptm=float(draws.uniform(0.2, 0.9)),
                sample=sample,
                seed=order.seed,
                provenance=provenance(order, self.device),
                single_atoms=built.single_atoms,
                pde=15 * pair,
                contact_probabilities=pair,
                iptm=float(between.mean()) if chains > 1 else None,
                chain_ptm=draws.uniform(0.2, 0.9, chains),
                chain_pair_iptm=between,
            )
        ]


class Built:
    """A job as tokens and atoms, each atom at a place of its own on a line of chains."""

    def __init__(self, job: Job) -> None:
        rows = [
            (chain, *row) for chain, entity in job.chains for row in residues_of(entity)
        ]  # chain, number, code, atoms, whether each is a token
        counts = [len(atoms) for *_, atoms, _ in rows]
        self.atoms = AtomArray(sum(counts))
        for category, values in (
            ("chain_id", [row[0] for row in rows]),
            ("res_id", [row[1] for row in rows]),
            ("res_name", [row[2] for row in rows]),
        ):
            self.atoms.set_annotation(category, np.repeat(values, counts))
        names = [name for *_, atoms, _ in rows for name in atoms]
        self.atoms.atom_name = np.array(names)
        self.atoms.element = np.array([element_of(name) for name in names])
        self.single_atoms = np.repeat([row[4] for row in rows], counts)
        self.atoms.hetero = self.single_atoms.copy()
        place = np.arange(len(names), dtype=np.float32)
        self.atoms.coord = np.stack([place * 1.5, np.sin(place), np.cos(place)], axis=1)
        begins = self.single_atoms.copy()
        begins[np.cumsum([0, *counts[:-1]])] = True
        self.token_of_atom = np.cumsum(begins) - 1
        self.token_names = [names[row] for row in np.flatnonzero(begins)]


def residues_of(entity: Molecule) -> Iterator[tuple[int, str, tuple[str, ...], bool]]:
    """Give number, code, atoms, and whether each atom is a token, of each residue."""
    if isinstance(entity, Ion):
        yield 1, entity.ccd, heavy_atoms(entity.ccd), True
    elif isinstance(entity, Ligand):
        if entity.smiles is not None:
            names = tuple(f"C{place + 1}" for place in range(smiles_atoms(entity.smiles)))
            yield 1, "LIG", names, True
        for number, code in enumerate(entity.ccd, 1):
            yield number, code, heavy_atoms(code), True
    else:
        modified = {one.position_1based: one.ccd for one in entity.modifications}
        numbers = entity.residue_numbers()
        for place, letter in enumerate(entity.sequence, 1):
            code = modified.get(place, standard_code(entity.molecule, letter))
            atoms = ATOM14[code] if code in ATOM14 else heavy_atoms(code)
            yield numbers[place - 1].number, code, atoms, place in modified


def standard_code(molecule: str, letter: str) -> str:
    if molecule == "protein":
        return RESTYPE_1_TO_3.get(letter, "GLY")
    return f"D{letter}" if molecule == "dna" else letter


def element_of(atom_name: str) -> str:
    return atom_name if atom_name in ("ZN", "MG", "CL", "NA") else atom_name[0]


def random_of(*seeds: object) -> np.random.Generator:
    content = "|".join(map(str, seeds)).encode()
    return np.random.default_rng(int.from_bytes(hashlib.sha256(content).digest()[:8], "big"))


def given(order: Order) -> dict[str, str]:
    """Digest all evidence, by what it is of."""
    found = {}
    for chain, evidence in order.evidence.chains.items():
        if evidence.alignment is not None:
            found[f"{chain} {len(evidence.alignment)} rows"] = evidence.alignment.digest
        if evidence.templates:
            found[f"{chain} templates"] = str(len(evidence.templates))
    if order.evidence.paired is not None:
        rows = order.evidence.paired.rows
        found[f"{len(rows)} paired rows"] = hashlib.sha256(rows.tobytes()).hexdigest()
    return found


def provenance(order: Order, device: str) -> Provenance:
    return Provenance(
        itda_version="0.1.0", family="allatom", weights_set=None,
        weights_source="a file of the user's own", weights_digest=DIGEST,
        weights_licence="CC0-1.0", non_commercial=False, licence_acknowledged=None, citations=(),
        seed=order.seed, recycles=0, inputs={"job": f"sha256:{order.job.digest()}"}, device=device,
        kernels={}, dtype="float32", versions={"python": "3"}, created="2026-11-30T00:00:00Z",
    )  # fmt: skip


def log(*lines: str) -> None:
    if path := os.environ.get(LOG):
        with Path(path).open("a") as file:
            file.writelines(f"{line}\n" for line in lines)


FAMILY = AllAtomFamily()
