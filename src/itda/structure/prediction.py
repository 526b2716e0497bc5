"""A predicted structure with its confidence, and where both came from."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from biotite.structure import AtomArray
from jaxtyping import Bool, Float

from itda.structure.tokens import Tokens

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
        molecule: What it is, of "protein", "dna", "rna", "ligand", "ion"; empty where nobody said.
        residues: How many it has.
        tokens: How many it has.
        mean_plddt: Over its tokens, 0 to 100.
        ptm: Predicted TM-score of the chain alone; None where the family predicts none.
    """

    chain_id: str
    molecule: str
    residues: int
    tokens: int
    mean_plddt: float
    ptm: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give plain data for JSON."""
        return {
            "chain_id": self.chain_id,
            "molecule": self.molecule,
            "residues": self.residues,
            "tokens": self.tokens,
            "mean_plddt": round(self.mean_plddt, 2),
            "ptm": _rounded(self.ptm, 4),
        }


@dataclass(frozen=True)
class ChainPair:
    """How sure a prediction is of where one chain lies, seen from another.

    Attributes:
        aligned_on: Id of the chain whose tokens are superposed.
        scored: Id of the chain whose error is expected.
        mean_pae_angstrom: Over all pairs of their tokens; None where there is no PAE.
        iptm: Predicted TM-score of the interface; None where the family predicts none.
    """

    aligned_on: str
    scored: str
    mean_pae_angstrom: float | None
    iptm: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give plain data for JSON."""
        return {
            "aligned_on": self.aligned_on,
            "scored": self.scored,
            "mean_pae_angstrom": _rounded(self.mean_pae_angstrom, 3),
            "iptm": _rounded(self.iptm, 4),
        }


@dataclass(frozen=True, eq=False)
class Prediction:
    """One predicted structure.

    A token is a residue, a nucleotide, or one atom of a ligand or modified residue (AlphaFold 3,
    supplement 2.6); tokens stand in the order of their atoms.

    Attributes:
        name: Name of the job.
        atoms: Heavy atoms with chain, residue and atom names as asked for; `b_factor` holds pLDDT.
        plddt: Predicted lDDT of each token, 0 to 100.
        pae: Predicted aligned error in angstrom; row: token aligned on, column: token scored.
            None where the family predicts none.
        ptm: Predicted TM-score, 0 to 1; None where the family predicts none.
        sample: 0-based sample of its seed.
        seed: Seed of the random numbers.
        provenance: What it was made with.
        validity: Geometry report as plain data, once checked.
        single_atoms: True for each atom that is a token of its own; None where there is none.
        molecules: What each chain is, by its id, as the job says; empty where nobody said.
        pde: Predicted distance error of each pair of tokens in angstrom; None as above.
        contact_probabilities: That two tokens are in contact, 0 to 1; None as above.
        iptm: Predicted TM-score of all interfaces together, 0 to 1; None as above.
        chain_ptm: Predicted TM-score of each chain, in the order of `atoms`; None as above.
        chain_pair_iptm: Predicted TM-score of the interface of two chains; row: aligned on. What
            stands on the diagonal is not read. None as above.
    """

    name: str
    atoms: AtomArray
    plddt: Float[np.ndarray, " token"]
    pae: Float[np.ndarray, "token token"] | None
    ptm: float | None
    sample: int
    seed: int
    provenance: Provenance
    validity: Mapping[str, Any] | None = None
    single_atoms: Bool[np.ndarray, " atom"] | None = None
    molecules: Mapping[str, str] = field(default_factory=dict)
    pde: Float[np.ndarray, "token token"] | None = None
    contact_probabilities: Float[np.ndarray, "token token"] | None = None
    iptm: float | None = None
    chain_ptm: Float[np.ndarray, " chain"] | None = None
    chain_pair_iptm: Float[np.ndarray, "chain chain"] | None = None

    def __post_init__(self) -> None:
        if not self.atoms.array_length():
            raise ValueError("a prediction needs atoms")
        if "b_factor" not in self.atoms.get_annotation_categories():
            raise ValueError("the atoms have no b_factor, which holds pLDDT")
        if not np.isfinite(self.atoms.coord).all():
            raise ValueError("coordinates are not all finite")
        tokens, chains = len(self.tokens), len(self.chain_ids)
        shapes = {
            "plddt": ((tokens,), 100.0),
            **dict.fromkeys(("pae", "pde"), ((tokens, tokens), np.inf)),
            "contact_probabilities": ((tokens, tokens), 1.0),
            "chain_ptm": ((chains,), 1.0),
            "chain_pair_iptm": ((chains, chains), 1.0),
        }
        for name, (shape, largest) in shapes.items():
            values = getattr(self, name)
            if values is None:
                continue
            if values.shape != shape:
                raise ValueError(
                    f"{name} has shape {values.shape}, not {shape}: there are {tokens} tokens in "
                    f"{chains} chains"
                )
            _check_range(name, values, largest)
        _check_range("b_factor", self.atoms.b_factor, 100.0)
        for name in ("ptm", "iptm"):
            if getattr(self, name) is not None:
                _check_range(name, np.array(getattr(self, name)), 1.0)
        if self.molecules and not set(self.chain_ids) <= set(self.molecules):
            missing = sorted(set(self.chain_ids) - set(self.molecules))
            raise ValueError(f"nobody says what these chains are: {', '.join(missing)}")

    @functools.cached_property
    def tokens(self) -> Tokens:
        """What its tokens are."""
        return Tokens.from_atoms(self.atoms, self.single_atoms)

    @functools.cached_property
    def chain_ids(self) -> tuple[str, ...]:
        """Id of each chain, in the order of `atoms`."""
        return tuple(dict.fromkeys(self.atoms.chain_id.tolist()))

    @property
    def atom_plddt(self) -> Float[np.ndarray, " atom"]:
        """Predicted lDDT of each atom, 0 to 100."""
        plddt: np.ndarray = self.atoms.b_factor
        return plddt

    @property
    def residue_plddt(self) -> Float[np.ndarray, " residue"]:
        """Predicted lDDT of each residue of `atoms`, 0 to 100: the mean over its tokens."""
        return self.tokens.mean_of_residues(self.plddt)

    @property
    def residue_count(self) -> int:
        """Number of residues; a ligand or an ion counts as one."""
        return self.tokens.residue_count

    @property
    def mean_plddt(self) -> float:
        """Mean pLDDT over tokens, 0 to 100."""
        return float(self.plddt.mean())

    def chain_confidence(self) -> list[ChainConfidence]:
        """Give the mean pLDDT of each chain, in the order of `atoms`."""
        chain_of = self._chain_of_token()
        residues = self.tokens.residue_of_token
        return [
            ChainConfidence(
                chain,
                self.molecules.get(chain, ""),
                len(np.unique(residues[chain_of == chain])),
                int((chain_of == chain).sum()),
                float(self.plddt[chain_of == chain].mean()),
                None if self.chain_ptm is None else float(self.chain_ptm[place]),
            )
            for place, chain in enumerate(self.chain_ids)
        ]

    def chain_pairs(self) -> list[ChainPair] | None:
        """Give mean PAE and ipTM between chains, each pair in both directions.

        Returns:
            One entry for each ordered pair of two different chains, so none for a single chain;
            None where there is neither.
        """
        pae, iptm = self.pae, self.chain_pair_iptm
        if pae is None and iptm is None:
            return None
        chain_of = self._chain_of_token()
        return [
            ChainPair(
                aligned_on,
                scored,
                None
                if pae is None
                else float(pae[np.ix_(chain_of == aligned_on, chain_of == scored)].mean()),
                None if iptm is None else float(iptm[row, column]),
            )
            for row, aligned_on in enumerate(self.chain_ids)
            for column, scored in enumerate(self.chain_ids)
            if aligned_on != scored
        ]

    def _chain_of_token(self) -> np.ndarray:
        chains: np.ndarray = self.atoms.chain_id[self.tokens.starts]
        return chains

    def confidence(self) -> dict[str, Any]:
        """Give the confidence as plain data for JSON, without what pairs of tokens have.

        What the family does not predict is None.
        """
        pairs = self.chain_pairs()
        return {
            "name": self.name,
            "sample": self.sample,
            "seed": self.seed,
            "mean_plddt": round(self.mean_plddt, 2),
            "ptm": _rounded(self.ptm, 4),
            "iptm": _rounded(self.iptm, 4),
            "mean_pae_angstrom": _rounded(None if self.pae is None else self.pae.mean(), 3),
            "mean_pde_angstrom": _rounded(None if self.pde is None else self.pde.mean(), 3),
            "chains": [chain.to_dict() for chain in self.chain_confidence()],
            "chain_pairs": None if pairs is None else [pair.to_dict() for pair in pairs],
            "plddt": [round(float(value), 2) for value in self.plddt],
            "validity": None if self.validity is None else dict(self.validity),
            "terms": self.provenance.terms,
            "provenance": self.provenance.to_dict(),
        }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(float(value), digits)


def _check_range(name: str, values: np.ndarray, largest: float) -> None:
    good = np.isfinite(values) & (values >= 0.0) & (values <= largest)
    if not good.all():
        value = np.asarray(values)[~good].flat[0]
        raise ValueError(f"{name} holds {value}, outside 0 to {largest:g}")
