"""Results of many kinds, each made up, for tests of verdicts.

`python -m tests.results.verdict_cases` prints what is said of each, in both languages.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from biotite.structure import AtomArray

from itda.chem.residues import RESTYPE_1_TO_3
from itda.confidence.trust import Trust
from itda.job.model import Job
from itda.language import LANGUAGES
from itda.models.mini import FAMILY
from itda.results.folded import FoldedJob
from itda.search.alignments.alignment import Alignment
from itda.search.evidence import ChainEvidence, Evidence
from itda.search.templates.selection import FoundHit
from itda.search.templates.template import Template
from itda.structure.prediction import Prediction, Provenance

TRUST: Trust = FAMILY.trust
LETTERS = "ACDEFGHIKLMNPQRSTVWY"


def sequence_of(length: int, seed: int = 0) -> str:
    return "".join(np.random.default_rng(seed).choice(list(LETTERS), length))


def made_with(family: str = "mini", digest: str = f"sha256:{TRUST.weights_sha256}") -> Provenance:
    return Provenance(
        itda_version="1",
        family=family,
        weights_set=family,
        weights_source="built in",
        weights_digest=digest,
        weights_licence="Apache-2.0",
        non_commercial=False,
        licence_acknowledged=None,
        citations=(),
        seed=0,
        recycles=0,
        inputs={},
        device="cpu",
        kernels={},
        dtype="float32",
        versions={},
        created="2026-01-01T00:00:00+00:00",
    )


def template(
    query: str, name: str, *, identity: float, coverage: float = 1.0, own: bool = False
) -> Template:
    paired = np.arange(round(coverage * len(query)), dtype=np.int32)
    return Template(
        name=name,
        sequence=query,
        coordinates=np.zeros((len(query), 37, 3), np.float32),
        atom_mask=np.ones((len(query), 37), bool),
        query_index=paired,
        template_index=paired,
        identity=identity,
        e_value=math.nan if own else 1e-20,
        source="mine.cif" if own else "known-folds",
    )


def result(
    length: int = 120,
    *,
    plddt: float | Sequence[float] = 80.0,
    ptm: float | None = 0.8,
    pae: np.ndarray | None = None,
    templates: Sequence[Mapping[str, object]] = (),
    alignment_rows: int = 0,
    searched: str = "",
    refused: str = "",
    first_number: int = 1,
    chains: Sequence[int] = (),
    provenance: Provenance | None = None,
) -> FoldedJob:
    """Make a result; `chains` are the lengths of several."""
    lengths = list(chains) or [length]
    parts = [sequence_of(size, seed) for seed, size in enumerate(lengths)]
    total = sum(lengths)
    values = np.broadcast_to(np.asarray(plddt, np.float32), (total,)).copy()
    atoms = AtomArray(total)
    atoms.coord = np.arange(3 * total, dtype=np.float32).reshape(-1, 3)
    atoms.atom_name[:], atoms.element[:] = "CA", "C"
    atoms.chain_id = np.repeat(list("ABCD"[: len(lengths)]), lengths)
    atoms.res_id = np.concatenate([np.arange(size) + first_number for size in lengths])
    atoms.res_name = np.array([RESTYPE_1_TO_3[letter] for letter in "".join(parts)])
    atoms.set_annotation("b_factor", values)
    job = Job.from_sequence("case", ":".join(parts))
    query = parts[0]
    found = tuple(template(query, **one) for one in templates)
    said: dict[str, str] = {}
    if searched:
        said = {"template_source": searched, "template_search": "{}"}
    elif found:
        said = {"template_source": "mine.cif"}
    alignment = None
    if alignment_rows:
        rows = [query, *(sequence_of(len(query), 100 + row) for row in range(alignment_rows - 1))]
        names = [f"row{row}" for row in range(alignment_rows)]
        alignment = Alignment.from_aligned(query, names, rows)
        said["alignment_source"] = "uniref50"
    hits = ()
    if refused:
        hits = (FoundHit("9xyz_A", 1e-9, 0.4, 0.9, 100, "", used=False, reason=refused),)
    evidence = Evidence({"A": ChainEvidence(alignment, found, hits, said)})
    prediction = Prediction(
        name="case",
        atoms=atoms,
        plddt=values,
        pae=pae,
        ptm=ptm,
        sample=0,
        seed=0,
        provenance=provenance or made_with(),
    )
    return FoldedJob(job, (prediction,), "digest", evidence)


def two_domains(length: int, apart: float = 18.0, within: float = 3.0) -> np.ndarray:
    half = length // 2
    pae = np.full((length, length), apart)
    pae[:half, :half] = pae[half:, half:] = within
    return pae


NEAR = {"name": "1abc_A", "identity": 0.62, "coverage": 0.97}
FAR = {"name": "2xyz_B", "identity": 0.24, "coverage": 0.71}


def cases() -> Iterator[tuple[str, FoldedJob]]:
    """Yield results of different kinds by their names."""
    loose_ends = np.full(120, 86.0)
    loose_ends[:9] = loose_ends[60:67] = loose_ends[-6:] = 35.0
    yield "near template", result(plddt=88, ptm=0.85, templates=[NEAR], searched="known-folds")
    yield (
        "template and loose ends",
        result(
            plddt=loose_ends, ptm=0.8, templates=[NEAR, FAR], searched="known-folds",
            first_number=21,
        ),
    )  # fmt: skip
    yield (
        "two domains",
        result(
            160, plddt=84, ptm=0.62, pae=two_domains(160), templates=[NEAR], alignment_rows=40,
            searched="known-folds",
        ),
    )  # fmt: skip
    yield (
        "far template, doubtful",
        result(plddt=55, ptm=0.5, templates=[FAR, FAR], searched="known-folds"),
    )
    yield (
        "far template, wrong",
        result(plddt=44, ptm=0.38, templates=[FAR], searched="known-folds"),
    )
    yield "sequence alone", result(plddt=35, ptm=0.2)
    yield "nothing found", result(plddt=36, ptm=0.2, searched="known-folds")
    yield (
        "found but refused",
        result(plddt=36, ptm=0.2, searched="known-folds", refused="too much like the query"),
    )
    yield "alignment alone", result(plddt=41, ptm=0.24, alignment_rows=12, searched="known-folds")
    yield "confident without templates", result(plddt=76, ptm=0.47, searched="known-folds")
    yield (
        "template of one's own",
        result(plddt=82, ptm=0.8, templates=[{**NEAR, "name": "mine_A", "own": True}]),
    )
    yield (
        "longer than tested",
        result(700, plddt=80, ptm=0.8, templates=[NEAR], searched="known-folds"),
    )
    yield (
        "weights of one's own",
        result(plddt=80, provenance=made_with(digest="sha256:" + "1" * 64)),
    )
    yield (
        "esmfold, confident",
        result(plddt=83, ptm=0.8, provenance=made_with("esmfold", "sha256:2")),
    )
    yield "esmfold, wrong", result(plddt=41, ptm=0.3, provenance=made_with("esmfold", "sha256:2"))
    yield (
        "flashabb, two chains",
        result(chains=[120, 108], plddt=84, ptm=None, provenance=made_with("flashabb", "sha256:3")),
    )


def how_often(one: FoldedJob, kind: str) -> str:
    """Say how often a sentence of this kind was true on the test chains."""
    verdict = one.verdict
    if kind == "trust" and verdict.band is not None:
        return f"{verdict.band.right} of {verdict.band.of} test chains had the right fold"
    if kind == "places" and one.provenance.family == "mini":
        low, apart = TRUST.low_residues, TRUST.apart
        told = [f"{low.true} of {low.of} residues were wrong"] * bool(verdict.places.low)
        told += [f"{apart.true} of {apart.of} pairs of parts were"] * bool(verdict.places.loose)
        return "; ".join(told)
    return {"basis": "a fact of the run", "next": "no promise"}.get(kind, "not measured")


def main() -> None:
    for name, one in cases():
        print(f"\n== {name}: {one.verdict.level}")
        for sentence in one.verdict.sentences:
            for code in LANGUAGES:
                print(f"  {sentence.said(language=code)}")
            print(f"      [{how_often(one, sentence.kind)}]")


if __name__ == "__main__":
    main()
