"""Fold the test chains as `itda fold` does without options, and say what each part brings.

    python benchmarks/default_fold.py --data data --out scores.json [--rival pdb]

The chains are those of `--chains`, a file of `itda eval --out`; the datasets below `--data` hold
them. Each is folded from its sequence alone after candidate sets of templates from the known folds,
never of its own PDB entry, at each limit of identity. `--rival` names a database of structures that
MMseqs2 searches, as folds did before the known folds came with Itda. Rows are written for

- `copied`: the first template's CA atoms and nothing else;
- `none`: the fold without templates;
- `before`: the first four templates of the rival's search;
- `library`: the first four templates of the known folds;
- `chosen`: the most confident fold of the candidate sets;
- `best`: the truly best of them, which nobody knows.

A chain without templates has the fold without them in each row, and nothing copied. The rows named
`mini, …` (also `mini, profile`: with the chain's own profile and no templates) are those that
`verdicts.py` reads. The network's output is scored, before its geometry is refined. A run that was
stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from verdict_scores import scored

from itda.bench.record import provenance
from itda.features import Features, ProfileFeatures, TemplateFeatures, TokenFeatures
from itda.models.mini import FAMILY
from itda.models.mini.predict import MOST_TEMPLATES
from itda.search.databases.database import Database
from itda.search.databases.known_folds import known_folds
from itda.search.databases.registry import Databases
from itda.search.templates.candidates import CANDIDATES, candidate_sets
from itda.search.templates.find import TemplateSearch, search_many_templates
from itda.search.templates.selection import TemplateLimits
from itda.search.templates.template import Template
from itda.structure.chains.chain import CA_INDEX, Chain
from itda.structure.chains.dataset import ChainDataset
from itda.train.evaluation.scores import score_chain
from itda.train.evaluation.templates import IDENTITY_LIMITS

Row = dict[str, Any]

FIRST = "any"
"""The limit of identity that is measured first."""

AT_ONCE = 32


def searched(
    chains: Sequence[Chain], database: Database, max_identity: float | None, count: int
) -> dict[str, tuple[Template, ...]]:
    """Search with all chains as a fold does; templates of a chain's own entry are left out."""
    # So many chains of one entry are at most among the first.
    limits = TemplateLimits(count=count + 8, max_identity=max_identity)
    with tempfile.TemporaryDirectory() as work:
        found = search_many_templates(
            [chain.sequence for chain in chains],
            alignments=[None] * len(chains),
            database=database,
            limits=limits,
            work=Path(work),
        )
        templates = {
            chains[number].id: one.templates if isinstance(one, TemplateSearch) else ()
            for number, one in found
        }
    return {
        name: tuple(one for one in own if _entry(one.name) != _entry(name))[:count]
        for name, own in templates.items()
    }


def _entry(chain_id: str) -> str:
    return chain_id.partition("_")[0].lower()


class Folds:
    """Folds one chain after sets of templates, each once."""

    def __init__(self, model: Any, chain: Chain) -> None:
        self.model, self.chain = model, chain
        self._rows: dict[tuple[str, ...], Row] = {}

    def after(self, templates: Sequence[Template]) -> Row:
        """Give the row of the fold after some templates."""
        names = tuple(f"{one.name} {one.query_index[0]}" for one in templates)
        if names not in self._rows:
            self._rows[names] = self._row(ProfileFeatures.absent(1, len(self.chain)), templates, "")
        return self._rows[names]

    def with_profile(self) -> Row:
        """Give the row of the fold with the chain's profile and without templates."""
        assert self.chain.profile is not None
        return self._row(ProfileFeatures.from_array(self.chain.profile), (), "profile")

    def _row(self, profile: ProfileFeatures, templates: Sequence[Template], method: str) -> Row:
        features = Features(
            TokenFeatures.from_sequence(self.chain.sequence),
            profile,
            TemplateFeatures.from_templates(templates, tokens=len(self.chain)),
        )
        ((placed,),) = self.model.run([features])
        return scored(self.chain, method, placed, templates)


def rows_of(
    folds: Folds,
    label: str,
    found: Sequence[Template],
    before: Sequence[Template] | None,
    most: int,
) -> list[Row]:
    """Give every row of one chain at one limit of identity."""
    chain, bare = folds.chain, folds.after(())
    sets = candidate_sets(found, length=len(chain), count=MOST_TEMPLATES, most=most)
    folded = [folds.after([found[place] for place in places]) for places in sets] or [bare]
    chosen = max(range(len(folded)), key=lambda place: folded[place]["plddt"])
    named = {
        "none": bare,
        "library": folded[0],
        "chosen": folded[chosen] | {"set": chosen, "sets": len(sets)},
        "best": max(folded, key=lambda row: float(row["lddt_ca"])),
        "copied": {"chain": chain.id, "lddt_ca": 0.0, "tm_score": 0.0},
    }
    if before is not None:
        named["before"] = folds.after(before)
    if found:
        copied = found[0].ca_along(len(chain))
        true, mask = chain.coordinates[:, CA_INDEX], chain.atom_mask[:, CA_INDEX]
        named["copied"] = score_chain(chain.id, "", copied, true, mask)[0].to_dict()
        named["mini, templates"] = named["chosen"]
        named["first"] = {
            "chain": chain.id,
            "template": found[0].name,
            "e_value": found[0].e_value,
            "identity": found[0].identity,
        }
    rows = [row | {"method": f"{name}, {label}"} for name, row in named.items()]
    if label != FIRST:
        return rows
    alone = [bare | {"method": "mini, sequence"}]
    if chain.profile is not None:
        alone.append(folds.with_profile() | {"method": "mini, profile"})
    return alone + rows


def summary(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Means over all chains, by method."""
    by_method: dict[str, list[Row]] = {}
    for row in rows:
        if "lddt_ca" in row:
            by_method.setdefault(row["method"], []).append(row)
    told = {}
    for method, own in sorted(by_method.items()):
        lddt = np.array([row["lddt_ca"] for row in own])
        tm = np.array([row["tm_score"] for row in own])
        told[method] = {
            "chains": len(own),
            "lddt_ca": float(lddt.mean()),
            "lddt_ca_error": float(lddt.std(ddof=1) / np.sqrt(len(own))),
            "tm_score": float(tm.mean()),
            "above_half": float((tm > 0.5).mean()),
        }
        if all("ptm" in row for row in own):
            plddt = np.array([row["plddt"] for row in own])
            told[method]["plddt_r"] = float(np.corrcoef(plddt, lddt)[0, 1])
            for low in range(30, 100, 10):
                band = (plddt >= low / 100) & (plddt < low / 100 + 0.1)
                if band.sum() >= 5:
                    told[method][f"true_minus_plddt_{low}"] = float(
                        100 * (lddt[band] - plddt[band]).mean()
                    )
                    told[method][f"chains_{low}"] = int(band.sum())
    return told


def main() -> None:
    """Fold, score, write; print the means."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    root = Path(__file__).parent / "results"
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--datasets", default="promod3,allatom")
    parser.add_argument("--chains", type=Path, default=root / "eval_test_clusters.json")
    parser.add_argument("--rival", help="A database of structures with MMseqs2's files.")
    parser.add_argument("--sets", type=int, default=5, help="Candidate sets.")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    began = provenance()
    evaluated = json.loads(asked.chains.read_text(encoding="utf-8"))
    datasets = [ChainDataset.open(asked.data / name) for name in asked.datasets.split(",")]
    model = FAMILY.load(None, "cpu")
    rival = Databases().get(asked.rival) if asked.rival else None
    parts = asked.out.with_suffix(".parts.jsonl")
    done = [json.loads(line) for line in parts.read_text().splitlines()] if parts.exists() else []
    rows: list[Row] = [row for part in done for row in part]
    there = {(row["chain"], row["method"]) for row in rows}
    names = list(dict.fromkeys(row["chain"] for row in evaluated["scores"]))[: asked.limit]
    folds = {
        name: Folds(model, next(one[one.index_of(name)] for one in datasets if name in one))
        for name in names
    }
    for label in (FIRST, *(label for label in IDENTITY_LIMITS if label != FIRST)):
        limit = IDENTITY_LIMITS[label]
        chains = [folds[name].chain for name in names if (name, f"none, {label}") not in there]
        for begin in range(0, len(chains), AT_ONCE):
            some = chains[begin : begin + AT_ONCE]
            found = searched(some, known_folds(), limit, CANDIDATES)
            before = searched(some, rival, limit, MOST_TEMPLATES) if rival else {}
            own = [
                row
                for chain in some
                for row in rows_of(
                    folds[chain.id], label, found[chain.id], before.get(chain.id), asked.sets
                )
            ]
            rows += own
            with parts.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(own) + "\n")
            sys.stderr.write(f"{label}: {min(begin + AT_ONCE, len(chains))} of {len(chains)}\n")
    document = {
        **began,
        "weights_sha256": model.card.sha256,
        "library": known_folds().digest,
        "sets": asked.sets,
        "summary": summary(rows),
        "scores": rows,
    }
    shown = json.dumps(document, separators=(",", ":")).replace('{"chain"', '\n{"chain"')
    asked.out.write_text(f"{shown}\n", encoding="utf-8")
    for method, means in document["summary"].items():
        told = "  ".join(f"{key} {value:.3f}" for key, value in list(means.items())[:6])
        print(f"{method:28} {told}")


if __name__ == "__main__":
    main()
