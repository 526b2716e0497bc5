"""Whether FlashABB's family tells variable domains apart: antibodies' germlines and receptors'.

    python benchmarks/flashabb_chains.py FOLDER

The folder holds germline segments as IMGT gives them, one FASTA file for each species and locus,
such as `Homo_sapiens_HV.fasta` and `Homo_sapiens_HJ.fasta`; the header's second to fourth fields
are gene and allele, species, and whether it is functional. Each first allele (`*01`) of a
functional V segment is joined to each locus' first J segment, and asked for its domains.
"""

from __future__ import annotations

import argparse
import collections
import sys
from pathlib import Path
from typing import Any

from itda.bench.record import SOURCE as ROOT
from itda.bench.record import write_record

KINDS = {"H": "heavy", "K": "light", "L": "light", **dict.fromkeys("ABGD", "receptor")}
SHORTEST_SEGMENT = 86


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("germlines", type=Path)
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks/results/flashabb_chains.json"
    )
    arguments = parser.parse_args()
    write_record(arguments.output, "flashabb_chains", measure(arguments.germlines))


def measure(folder: Path) -> dict[str, Any]:
    from itda.models.flashabb.domains import find_domains

    found: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    wrong: list[dict[str, str]] = []
    least: dict[str, float] = {}
    species = set()
    for file in sorted(folder.glob("*V.fasta")):
        name, locus = file.stem[:-2], file.stem[-2]
        joining = [text for _, text in segments(file.with_name(f"{name}{locus}J.fasta"))]
        if not joining:
            print(f"left out: {file.name}, no J segment", file=sys.stderr)
            continue
        species.add(name.strip("_"))
        kind = KINDS[locus]
        for gene, text in segments(file):
            if len(text) < SHORTEST_SEGMENT:
                continue
            domains = find_domains(text + joining[0])
            told = "+".join(domain.kind for domain in domains) or "none"
            found[kind][told] += 1
            if told != kind and (kind != "receptor" or told != "none"):
                wrong.append({"gene": gene, "species": name.strip("_"), "told": told})
            elif kind != "receptor":
                least[kind] = min(least.get(kind, 1.0), domains[0].identity)
    return {
        "species": sorted(species),
        "told": {kind: dict(counter) for kind, counter in found.items()},
        "wrong": wrong,
        "least_identity": least,
    }


def segments(file: Path) -> list[tuple[str, str]]:
    """Give gene and sequence of the functional first alleles, without IMGT's gaps."""
    found: dict[str, str] = {}  # by header, since strains share the names of genes
    header = None
    for line in file.read_text().splitlines() if file.exists() else []:
        if line.startswith(">"):
            fields = line.split("|")
            header = line if fields[1].endswith("*01") and fields[3] == "F" else None
        elif header:
            found[header] = found.get(header, "") + line.strip().replace(".", "").replace("-", "")
    known = set("ACDEFGHIKLMNPQRSTVWY")
    return [(key.split("|")[1], text) for key, text in found.items() if set(text) <= known]


if __name__ == "__main__":
    main()
