"""Fold test chains in every way and write the table that `verdicts.py` reads.

    python benchmarks/verdict_scores.py --data data --templates data/templates --out scores.json
    python benchmarks/verdicts.py scores.json --write

The chains are those of `--chains`, a file of `itda eval --out`; the datasets below `--data` hold
them, and `--templates` is a table of `itda data templates`. Templates of a chain's own PDB entry
are never offered. The network's output is scored, before its geometry is refined; side chains
after.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from verdicts import columns_of

from itda.chem.residues import ATOM14, ATOM37_INDEX, RESTYPE_1_TO_3
from itda.features import Features, ProfileFeatures, TemplateFeatures, TokenFeatures
from itda.models.mini import FAMILY
from itda.models.mini.predict import MOST_TEMPLATES, Placed, refined_chain
from itda.search.templates.selection import TemplateLimits, select_hits
from itda.search.templates.template import Template
from itda.structure.chains.chain import CA_INDEX, Chain
from itda.structure.chains.dataset import ChainDataset
from itda.train.evaluation.scores import score_chain
from itda.train.evaluation.templates import IDENTITY_LIMITS
from itda.train.template_table import TemplateTable

FIRST_SIDE_ATOM = ("CG", "CG1", "OG", "OG1", "SG")
SIDE_CHAIN_PLDDT = 80.0
CHI_WITHIN_DEGREES = 40.0


def ways(chain: Chain, table: TemplateTable) -> Iterator[tuple[str, Features, Sequence[Template]]]:
    """Yield each way to fold a chain once: its name, features and templates."""
    length = len(chain)
    bare = Features(
        TokenFeatures.from_sequence(chain.sequence),
        ProfileFeatures.absent(1, length),
        TemplateFeatures.absent(1, length),
    )
    known = {"": bare}
    if chain.profile is not None:
        known["profile"] = replace(bare, profile=ProfileFeatures.from_array(chain.profile))
    for name, features in known.items():
        yield f"mini, {name or 'sequence'}", features, ()
    seen: set[tuple[str, ...]] = set()
    for label, limit in IDENTITY_LIMITS.items():
        limits = TemplateLimits(
            count=MOST_TEMPLATES,
            max_identity=limit,
            exclude_ids=frozenset([chain.id.partition("_")[0].lower()]),
        )
        hits = table.hits(chain.id, chain.sequence)
        chosen = select_hits(chain.sequence, hits, table.database, limits).hits
        templates = [table.template(hit) for hit in chosen]
        names = tuple(template.name for template in templates)
        if not names or names in seen:
            continue
        seen.add(names)
        laid = TemplateFeatures.from_templates(templates, tokens=length)
        for name, features in known.items():
            method = f"mini, {name + ' + ' if name else ''}templates, {label}"
            yield method, replace(features, templates=laid), templates


def scored(
    chain: Chain, method: str, placed: Placed, templates: Sequence[Template]
) -> dict[str, Any]:
    """Return the row of a fold."""
    mask = chain.atom_mask[:, CA_INDEX]
    true = np.where(mask[:, None], chain.coordinates[:, CA_INDEX], np.nan)
    predicted = refined_chain(placed, refine_steps=0)[:, 1]
    score, per_residue = score_chain(chain.id, method, predicted, true, mask, plddt=placed.plddt)
    lddt = np.full(len(chain), np.nan)
    lddt[mask] = per_residue
    row = {
        **{name: _rounded(value) for name, value in score.to_dict().items()},
        "ptm": _rounded(placed.ptm),
        "templates": len(templates),
        "alignment": "profile" in method,
    }
    if templates:
        best = templates[0]
        row["template_identity"] = _rounded(best.identity)
        row["template_coverage"] = _rounded(len(best.query_index) / len(chain))
    return row | columns_of(placed.plddt, placed.pae, lddt, predicted, true)


def side_chains(chain: Chain, placed: Placed) -> tuple[int, int]:
    """Count the confident residues whose chi1 is that of the experiment, and all of them."""
    atoms = refined_chain(placed)
    right = of = 0
    for place, letter in enumerate(chain.sequence):
        names = ATOM14.get(RESTYPE_1_TO_3.get(letter, ""), ())
        last = next((name for name in names if name in FIRST_SIDE_ATOM), None)
        if last is None or letter == "P" or placed.plddt[place] < SIDE_CHAIN_PLDDT:
            continue
        four = ("N", "CA", "CB", last)
        there = [ATOM37_INDEX[name] for name in four]
        if not chain.atom_mask[place, there].all():
            continue
        true = _dihedral(chain.coordinates[place, there])
        found = _dihedral(atoms[place, [list(names).index(name) for name in four]])
        of += 1
        right += abs((true - found + 180) % 360 - 180) < CHI_WITHIN_DEGREES
    return right, of


def _dihedral(points: np.ndarray) -> float:
    first, axis, last = np.diff(points.astype(np.float64), axis=0)
    one, other = np.cross(first, axis), np.cross(axis, last)
    sine = np.linalg.norm(axis) * first @ other
    return float(np.degrees(np.arctan2(sine, one @ other)))


def _rounded(value: Any) -> Any:
    return round(float(value), 4) if isinstance(value, float | np.floating) else value


def main() -> None:
    """Fold and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    root = Path(__file__).parent / "results"
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--datasets", default="promod3,allatom")
    parser.add_argument("--templates", type=Path, required=True)
    parser.add_argument("--chains", type=Path, default=root / "eval_test_clusters.json")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    evaluated = json.loads(asked.chains.read_text(encoding="utf-8"))
    datasets = [ChainDataset.open(asked.data / name) for name in asked.datasets.split(",")]
    table = TemplateTable.open(asked.templates, datasets[0])
    model = FAMILY.load(None, "cpu")
    rows: list[dict[str, Any]] = []
    right = of = 0
    for name in list(dict.fromkeys(row["chain"] for row in evaluated["scores"]))[: asked.limit]:
        found = [dataset[dataset.index_of(name)] for dataset in datasets if name in dataset]
        whole = next((chain for chain in found if chain.has_side_chains), None)
        for method, features, templates in ways(found[0], table):
            ((placed,),) = model.run([features])
            rows.append(scored(found[0], method, placed, templates))
            if whole is not None and templates and "profile" not in method:
                counts = side_chains(whole, placed)
                right, of = right + counts[0], of + counts[1]
        sys.stderr.write(f"{name}\n")
    document = {
        "weights_sha256": model.card.sha256,
        "template_search": dict(table.manifest),
        "side_chains": {"true": right, "of": of},
        "scores": rows,
    }
    shown = json.dumps(document, separators=(",", ":")).replace('{"chain"', '\n{"chain"')
    asked.out.write_text(f"{shown}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
