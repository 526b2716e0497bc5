"""A predicted structure with its confidence, and where both came from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from biotite.structure import AtomArray, get_residue_count, get_residue_starts
from jaxtyping import Float

_ISO_8601_UTC = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|\+00:00)")


@dataclass(frozen=True)
class Provenance:
    """What a prediction was made with: enough to make it again, and to know its terms of use.

    Attributes:
        itda_version: Version of this package.
        family: Name of the model family.
        weights_set: Name of the published weights; None for a file of the user's own.
        weights_source: Where they came from: `built in`, package and version, repository and
            revision, address, or that it is a file of the user's own.
        weights_digest: `sha256:...` of the weights file.
        weights_licence: Licence of the weights, as SPDX writes it.
        non_commercial: Whether that licence forbids commercial use.
        licence_acknowledged: When the user acknowledged it, ISO 8601; None where none is asked for.
        citations: What to cite for the weights.
        seed: Seed of the random numbers.
        recycles: How often the trunk saw its own output.
        inputs: Digest of each input by its name, such as {"sequence": "sha256:..."}.
        device: Device that it ran on.
        kernels: Backend of each operation by its name.
        dtype: Number format; of each part by its name where they differ, such as
            {"language_model": "bfloat16", "trunk": "float32"}.
        versions: Version of each library that took part.
        created: When, ISO 8601 in UTC.
        parameters: Of the family's own; left out of `to_dict` where there are none.
    """

    itda_version: str
    family: str
    weights_set: str | None
    weights_source: str
    weights_digest: str
    weights_licence: str
    non_commercial: bool
    licence_acknowledged: str | None
    citations: tuple[str, ...]
    seed: int
    recycles: int
    inputs: Mapping[str, str]
    device: str
    kernels: Mapping[str, str]
    dtype: str | Mapping[str, str]
    versions: Mapping[str, str]
    created: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _ISO_8601_UTC.fullmatch(self.created):
            raise ValueError(f"created is not an ISO 8601 time in UTC: {self.created!r}")

    def to_dict(self) -> dict[str, Any]:
        """Give plain data for JSON."""
        plain = {one.name: getattr(self, one.name) for one in fields(self)}
        plain["citations"] = list(self.citations)
        if not self.parameters:
            del plain["parameters"]
        return {
            name: dict(value) if isinstance(value, Mapping) else value
            for name, value in plain.items()
        }

    @property
    def terms(self) -> str:
        """What the licence of the weights allows, in one sentence for people."""
        weights = "The model weights" if self.weights_set is None else f"Weights {self.weights_set}"
        forbids = ", which forbids commercial use" if self.non_commercial else ""
        return f"{weights} are licensed under {self.weights_licence}{forbids}."

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Provenance:
        """Read what `to_dict` gave.

        Raises:
            ValueError: If a field is missing or unknown.
        """
        expected = {one.name for one in fields(cls)}
        data = {"parameters": {}, **data}
        if set(data) != expected:
            odd = sorted(set(data) ^ expected)
            raise ValueError(f"provenance fields missing or unknown: {', '.join(odd)}")
        return cls(**{**data, "citations": tuple(data["citations"])})


@dataclass(frozen=True)
class ChainConfidence:
    """How sure a prediction is of one chain.

    Attributes:
        chain_id: Its id.
        residues: How many it has.
        mean_plddt: Over them, 0 to 100.
    """

    chain_id: str
    residues: int
    mean_plddt: float

    def to_dict(self) -> dict[str, Any]:
        """Give plain data for JSON."""
        return {
            "chain_id": self.chain_id,
            "residues": self.residues,
            "mean_plddt": round(self.mean_plddt, 2),
        }


@dataclass(frozen=True)
class ChainPair:
    """How sure a prediction is of where one chain lies, seen from another.

    Attributes:
        aligned_on: Id of the chain whose residues are superposed.
        scored: Id of the chain whose error is expected.
        mean_pae_angstrom: Over all pairs of their residues.
    """

    aligned_on: str
    scored: str
    mean_pae_angstrom: float

    def to_dict(self) -> dict[str, Any]:
        """Give plain data for JSON."""
        return {
            "aligned_on": self.aligned_on,
            "scored": self.scored,
            "mean_pae_angstrom": round(self.mean_pae_angstrom, 3),
        }


@dataclass(frozen=True, eq=False)
class Prediction:
    """One predicted structure.

    Attributes:
        name: Name of the job.
        atoms: Heavy atoms with chain, residue and atom names as asked for; `b_factor` holds pLDDT.
        plddt: Predicted lDDT of each residue of `atoms`, 0 to 100.
        pae: Predicted aligned error in angstrom; row: residue aligned on, column: residue scored.
            None where the family predicts none.
        ptm: Predicted TM-score, 0 to 1; None where the family predicts none.
        sample: 0-based sample of its seed.
        seed: Seed of the random numbers.
        provenance: What it was made with.
        validity: Geometry report as plain data, once checked.
    """

    name: str
    atoms: AtomArray
    plddt: Float[np.ndarray, " residue"]
    pae: Float[np.ndarray, "residue residue"] | None
    ptm: float | None
    sample: int
    seed: int
    provenance: Provenance
    validity: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        residues = get_residue_count(self.atoms) if self.atoms.array_length() else 0
        if residues == 0:
            raise ValueError("a prediction needs atoms")
        if self.plddt.shape != (residues,):
            raise ValueError(f"plddt has shape {self.plddt.shape}, the atoms {residues} residues")
        if self.pae is not None and self.pae.shape != (residues, residues):
            raise ValueError(f"pae has shape {self.pae.shape}, the atoms {residues} residues")
        if "b_factor" not in self.atoms.get_annotation_categories():
            raise ValueError("the atoms have no b_factor, which holds pLDDT")
        _check_range("plddt", self.plddt, 100.0)
        _check_range("b_factor", self.atoms.b_factor, 100.0)
        if self.ptm is not None:
            _check_range("ptm", np.array(self.ptm), 1.0)
        if self.pae is not None:
            _check_range("pae", self.pae, np.inf)
        if not np.isfinite(self.atoms.coord).all():
            raise ValueError("coordinates are not all finite")

    @property
    def residue_count(self) -> int:
        """Number of residues."""
        return len(self.plddt)

    @property
    def mean_plddt(self) -> float:
        """Mean pLDDT over residues, 0 to 100."""
        return float(self.plddt.mean())

    def chain_confidence(self) -> list[ChainConfidence]:
        """Give the mean pLDDT of each chain, in the order of `atoms`."""
        chain_of = self._chain_of_residue()
        return [
            ChainConfidence(str(chain), int(of.sum()), float(self.plddt[of].mean()))
            for chain, of in ((chain, chain_of == chain) for chain in _distinct(chain_of))
        ]

    def chain_pairs(self) -> list[ChainPair] | None:
        """Give the mean PAE between chains, each pair in both directions.

        Returns:
            One entry for each ordered pair of two different chains, so none for a single chain;
            None where there is no PAE.
        """
        if self.pae is None:
            return None
        chain_of = self._chain_of_residue()
        chains = _distinct(chain_of)
        return [
            ChainPair(
                str(aligned_on),
                str(scored),
                float(self.pae[np.ix_(chain_of == aligned_on, chain_of == scored)].mean()),
            )
            for aligned_on in chains
            for scored in chains
            if aligned_on != scored
        ]

    def _chain_of_residue(self) -> np.ndarray:
        chains: np.ndarray = self.atoms.chain_id[get_residue_starts(self.atoms)]
        return chains

    def confidence(self) -> dict[str, Any]:
        """Give the confidence as plain data for JSON, without the pair matrix.

        What the family does not predict is None.
        """
        pairs = self.chain_pairs()
        return {
            "name": self.name,
            "sample": self.sample,
            "seed": self.seed,
            "mean_plddt": round(self.mean_plddt, 2),
            "ptm": None if self.ptm is None else round(float(self.ptm), 4),
            "mean_pae_angstrom": None if self.pae is None else round(float(self.pae.mean()), 3),
            "chains": [chain.to_dict() for chain in self.chain_confidence()],
            "chain_pairs": None if pairs is None else [pair.to_dict() for pair in pairs],
            "plddt": [round(float(value), 2) for value in self.plddt],
            "validity": None if self.validity is None else dict(self.validity),
            "terms": self.provenance.terms,
            "provenance": self.provenance.to_dict(),
        }


def _distinct(chain_of: np.ndarray) -> list[str]:
    return list(dict.fromkeys(chain_of.tolist()))


def _check_range(name: str, values: np.ndarray, largest: float) -> None:
    good = np.isfinite(values) & (values >= 0.0) & (values <= largest)
    if not good.all():
        value = np.asarray(values)[~good].flat[0]
        raise ValueError(f"{name} holds {value}, outside 0 to {largest:g}")
