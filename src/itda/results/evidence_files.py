"""Files that say what a result was folded with: alignments, and what a search for templates found.

- `NAME.a3m`: the alignment of the protein, as `--msa` reads it.
- `NAME.templates.json`: the templates, and every hit that is none.
- `NAME.paired_A.a3m`: the rows of a chain that are paired with those of the other chains.

Of a job with several proteins or RNA, `NAME_A.a3m` and `NAME_A.templates.json` with the first chain
of each.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from itda.job.entities import Protein, Rna
from itda.job.model import Job
from itda.search.evidence import ChainEvidence, Evidence

ALIGNMENT, TEMPLATES, PAIRED = "alignment", "templates", "paired"
TEMPLATES_FORMAT = "itda-templates"
TEMPLATES_VERSION = 1


def evidence_names(job: Job) -> dict[str, str]:
    """Return the names that these files of a job can have, by what they are.

    Example:
        >>> evidence_names(Job.from_sequence("ubq", "MQIFVK"))
        {'alignment': 'ubq.a3m', 'templates': 'ubq.templates.json'}
    """
    parts = _parts(job)
    names = {
        kind + part: f"{job.file_stem}{part}{suffix}"
        for part in parts
        for kind, suffix in ((ALIGNMENT, ".a3m"), (TEMPLATES, ".templates.json"))
    }
    if len(parts) > 1:
        # An id may end with `.paired`: what stands before it tells these from alignments.
        names |= {PAIRED + part: f"{job.file_stem}.paired{part}.a3m" for part in parts}
    return names


def alignment_names(job: Job) -> list[str]:
    """Return the names that a job's alignments can have: those of files of the user's, too."""
    kinds = (ALIGNMENT, PAIRED)
    return [name for kind, name in evidence_names(job).items() if kind.startswith(kinds)]


def evidence_contents(job: Job, evidence: Evidence, folder: Path) -> dict[str, bytes]:
    """Return what these files hold, of those that there are.

    Args:
        job: What was folded.
        evidence: What it was folded with.
        folder: Where they are written to.

    Returns:
        By what they are; not the alignment that is read from the very file.
    """
    names = evidence_names(job)
    contents: dict[str, bytes] = {}
    paired = {} if evidence.paired is None else evidence.paired.paired
    for part, protein in _parts(job).items():
        found = evidence.chain(protein.ids[0])
        if protein.ids[0] in paired and not is_input(job, folder / names[PAIRED + part]):
            contents[PAIRED + part] = paired[protein.ids[0]].to_a3m().encode()
        kind = ALIGNMENT + part
        if found.alignment is not None and not is_input(job, folder / names[kind]):
            contents[kind] = found.alignment.to_a3m().encode()
        if "template_source" in found.provenance:
            described = json.dumps(_templates(job, protein, found), indent=1, ensure_ascii=False)
            contents[TEMPLATES + part] = f"{described}\n".encode()
    return contents


def _parts(job: Job) -> dict[str, Protein | Rna]:
    chains = [entity for entity in job.entities if isinstance(entity, Protein | Rna)]
    if len(chains) == 1:
        return {"": chains[0]}
    return {f"_{chain.ids[0]}": chain for chain in chains}


def _templates(job: Job, protein: Protein | Rna, found: ChainEvidence) -> dict[str, Any]:
    search = found.provenance.get("template_search")
    hits = [asdict(hit) for hit in found.hits]
    for hit in hits:
        # JSON has no NaN.
        hit["e_value"] = None if math.isnan(hit["e_value"]) else hit["e_value"]
        hit["release_date"] = hit["release_date"] or None
        hit["reason"] = hit["reason"] or None
    return {
        "format": TEMPLATES_FORMAT,
        "version": TEMPLATES_VERSION,
        "name": job.name,
        "chain_ids": list(protein.ids),
        "source": found.provenance["template_source"],
        "search": None if search is None else json.loads(search),
        "hits": hits,
    }


def is_input(job: Job, path: Path) -> bool:
    """Whether a file is an alignment that the job brings."""
    return any(_is_same(brought, path) for field, brought in job.files() if field.endswith("msa"))


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
