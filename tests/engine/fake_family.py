"""A model family that needs no weights: an ideal helix whose confidence the sequence decides.

Names steer it: a job called `crash…` breaks it, `slow…` waits, `exhausted…` runs out of memory.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from biotite.structure import Atom
from biotite.structure import array as atom_array

from itda.chem.residues import RESTYPE_1_TO_3
from itda.confidence.ranking import MEAN_PLDDT
from itda.errors import CapabilityError, WeightsError
from itda.job.model import Job
from itda.models import registry
from itda.models.demand import Demand, Load
from itda.models.family import Capabilities, Order, Portion
from itda.models.refusals import refuse_unsupported
from itda.progress import Progress
from itda.search.evidence import Evidence
from itda.structure.prediction import Prediction, Provenance

DIGEST = "sha256:" + "0" * 64
LONGEST = 2000


class FakeFamily:
    name = "mini"
    title = "Fake"
    licence = "CC0-1.0"
    citation = ""
    weight_set = "mini"
    parameters: type | None = None
    ranking = MEAN_PLDDT
    converter = None
    capabilities = Capabilities(
        molecules=frozenset({"protein"}),
        max_chains=1,
        min_length=2,
        max_tokens=LONGEST,
        inputs=frozenset({"msa", "profile", "template"}),
        outputs=frozenset({"plddt", "pae"}),
        modifications=False,
        bonds=False,
        constraints=False,
    )

    def __init__(self, *, batches: bool = False) -> None:
        self.models: list[FakeModel] = []
        self.batches = batches

    def check(self, job: Job) -> None:
        refuse_unsupported(job, self)

    def demand(self, load: Load) -> Demand:
        return Demand(
            weights_bytes=0,
            live_bytes=load.longest,
            work={"products": 1.0},
            batches=self.batches,
        )

    def load(self, weights: Path | None, device: str, *, frugal: bool = False) -> FakeModel:
        if weights is not None and weights.read_bytes() != b"good":
            raise WeightsError(f"{weights}: was truncated or altered", hint="copy it again")
        self.models.append(FakeModel(device))
        return self.models[-1]

    @property
    def folded(self) -> list[str]:
        return [name for model in self.models for name in model.folded]

    def evidence_of(self, name: str) -> Evidence:
        """What the model was last given for a job."""
        return next(m.evidence[name] for m in reversed(self.models) if name in m.evidence)


class PairFamily(FakeFamily):
    """Folds two chains together; without PAE and pTM where it is told so."""

    def __init__(self, *, pae: bool = True) -> None:
        super().__init__()
        given = {"structure", "plddt"} | ({"pae", "ptm"} if pae else set())
        self.pae = pae
        self.capabilities = dataclasses.replace(
            FakeFamily.capabilities, max_chains=2, inputs=frozenset(), outputs=frozenset(given)
        )

    def load(self, weights: Path | None, device: str, *, frugal: bool = False) -> FakeModel:
        model = super().load(weights, device)
        model.pae = self.pae
        return model


class FakeModel:
    weights_digest = DIGEST

    def __init__(self, device: str) -> None:
        self.device = device
        self.pae = True
        self.folded: list[str] = []
        self.batches: list[list[str]] = []
        self.evidence: dict[str, Evidence] = {}

    def begin(
        self, orders: Sequence[Order], *, recycles: int | None, progress: Progress | None
    ) -> Generator[Portion, None, None]:
        self.batches.append([order.job.name for order in orders])
        for order in orders:
            self._run(order.job, progress)
        yield Portion(
            tuple(
                (place, sample) for place, order in enumerate(orders) for sample in order.samples
            ),
            lambda _progress: [one for order in orders for one in self._finish(order)],
        )

    def _run(self, job: Job, progress: Progress | None) -> None:
        if job.name.startswith("crash"):
            raise ZeroDivisionError("nobody expected this")
        if job.name.startswith("exhausted"):
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
        for step in range(4):
            if progress is not None:
                progress(step / 4, f"pass {step + 1} of 4")
            if job.name.startswith("slow"):
                time.sleep(float(os.environ.get("FAKE_SLOW_SECONDS", "0.5")))
            if job.name.startswith("interrupted") and step == 2:
                time.sleep(0.5)  # what came before is written by then
                signal.raise_signal(signal.SIGINT)
                # The next report of progress after the signal was seen ends this.
                for _ in range(600):
                    time.sleep(0.05)
                    if progress is not None:
                        progress(step / 4, "waiting to be stopped")

    def _finish(self, order: Order) -> list[Prediction]:
        job, evidence = order.job, order.evidence
        if job.name.startswith("unfinished"):
            raise ZeroDivisionError("nobody expected this at the end")
        self.folded.append(job.name)
        self.evidence[job.name] = evidence
        inputs = {
            key: value for one in evidence.chains.values() for key, value in one.provenance.items()
        }
        return [self._fold(job, order.seed, sample, inputs) for sample in order.samples]

    def _fold(self, job: Job, seed: int, sample: int, inputs: Mapping[str, str]) -> Prediction:
        prediction = helix(job, seed, sample, self.device, inputs)
        if self.pae:
            return prediction
        return dataclasses.replace(prediction, pae=None, ptm=None)


def helix(
    job: Job,
    seed: int,
    sample: int,
    device: str = "cpu",
    inputs: Mapping[str, str] = MappingProxyType({}),
) -> Prediction:
    chains = [(chain_id, entity.sequence) for chain_id, entity in job.chains]
    length = sum(len(sequence) for _, sequence in chains)
    random = np.random.default_rng([seed, sample, length])
    plddt = np.clip(random.normal(75, 15, length), 1, 99).astype(np.float32)
    offsets = {"N": (1.47, -0.9), "CA": (2.3, 0.0), "C": (1.66, 1.06), "O": (2.0, 2.24)}
    atoms = []
    total = 0
    for place, (chain_id, sequence) in enumerate(chains):
        for index, letter in enumerate(sequence):
            for name, (radius, rise) in offsets.items():
                angle = np.deg2rad(100 * index + 27 * rise)
                atoms.append(
                    Atom(
                        [
                            radius * np.cos(angle) + 12 * place,
                            radius * np.sin(angle),
                            1.5 * index + rise,
                        ],
                        chain_id=chain_id,
                        res_id=index + 1,
                        ins_code="",
                        res_name=RESTYPE_1_TO_3.get(letter, "UNK"),
                        hetero=False,
                        atom_name=name,
                        element=name[0],
                        b_factor=float(plddt[total]),
                    )
                )
            total += 1
    distance = np.abs(np.arange(length)[:, None] - np.arange(length)[None])
    return Prediction(
        name=job.name,
        atoms=atom_array(atoms),
        plddt=plddt,
        # Not symmetric, so that exchanged rows and columns are noticed.
        pae=np.minimum(distance * 0.4 + np.arange(length) * 0.01 + 0.3, 31.0).astype(np.float32),
        ptm=0.61,
        sample=sample,
        seed=seed,
        provenance=Provenance(
            itda_version="0.1.0",
            family="mini",
            weights_set=None,
            weights_source="a file of the user's own",
            weights_digest=DIGEST,
            weights_licence="CC0-1.0",
            non_commercial=False,
            licence_acknowledged=None,
            citations=(),
            seed=seed,
            recycles=3,
            inputs={"sequence": "sha256:" + "1" * 64, **inputs},
            device=device,
            kernels={"attention": "reference"},
            dtype="float32",
            versions={"python": "3.11"},
            created="2026-11-24T00:00:00Z",
        ),
    )


def install(family: FakeFamily, put: Callable[[Any, str, Any], None] = setattr) -> FakeFamily:
    """Make the fake the only family; `put` is `setattr` or `monkeypatch.setattr`."""

    def get_family(name: str) -> FakeFamily:
        if name != family.name:
            raise CapabilityError(f"there is no model family '{name}'", hint="known: mini")
        return family

    put(registry, "FAMILIES", {family.name: ""})
    put(registry, "get_family", get_family)
    return family


if __name__ == "__main__":
    from itda.cli.main import main

    install(FakeFamily())
    main()
