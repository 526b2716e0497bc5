"""Writes the report page from its template, style, script and strings."""

from __future__ import annotations

import base64
import functools
import html
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import numpy as np
from jaxtyping import Float

from itda.language import LANGUAGES
from itda.results.folded import FoldedJob
from itda.results.tokens import token_names
from itda.results.verdict import side_chains

PAE_STEP_ANGSTROM = 0.125
PAE_LIMIT_ANGSTROM = 30
"""Where the colour scale ends."""

_EXPORT = re.compile("^export ", re.MULTILINE)
_SLOT = re.compile(r"\{\{([a-z_]+)\}\}")


def render_page(result: FoldedJob, structure: str, confidence: Mapping[str, Any]) -> str:
    """Return the page of a result.

    Args:
        result: What was folded.
        structure: The best prediction as mmCIF text; the page shows it and can save it.
        confidence: What the confidence file holds.
    """
    summaries = {
        "en": _summary(result, "{} residues", "{} chains", "mean pLDDT", "model"),
        "ko": _summary(result, "잔기 {}개", "사슬 {}개", "평균 pLDDT", "모델"),
    }
    tokens = confidence["tokens"]
    data = {
        "file_stem": result.job.file_stem,
        "summaries": summaries,
        "strings": json.loads(_part("strings.json")),
        "chain_ids": tokens["chain_id"],
        "numbers": tokens["number"],
        "insertion_codes": tokens["insertion_code"],
        "names": token_names(tokens),
        "plddt": confidence["plddt"],
        "mean_plddt": confidence["mean_plddt"],
        "chains": confidence["chains"],
        "chain_pairs": confidence["chain_pairs"],
        "pae": None if result.pae is None else _pae(result.pae),
        "verdict": {
            "level": result.verdict.level,
            **{code: result.verdict.said(language=code) for code in LANGUAGES},
        },
        "side_chains": {
            code: str(side_chains(result.provenance.family).said(language=code))
            for code in LANGUAGES
        },
        "samples": confidence["ranking"],
        "ranked_by": result.ranking.title,
        "validity": confidence["validity"],
        "templates": confidence["templates"],
        "provenance": confidence["provenance"],
        "cif": structure,
        "confidence": confidence,
    }
    return fill(
        _part("page.html"),
        {
            "title": html.escape(f"{result.name} · Itda"),
            "name": html.escape(result.name),
            "summary": html.escape(summaries["en"]),
            "style": _part("page.css"),
            "data": script_json(data),
            "viewer": _part("vendor/3Dmol-min.js"),
            "viewer_licence": html.escape(_part("vendor/3Dmol-LICENSE.txt")),
            "plots": _EXPORT.sub("", _part("plots.js")),
            "script": _part("page.js"),
        },
    )


def fill(template: str, slots: Mapping[str, str]) -> str:
    """Put text into a template's `{{slots}}`; what is put in is not looked at again.

    Raises:
        KeyError: The template has a slot that is not given.
    """
    return _SLOT.sub(lambda match: slots[match.group(1)], template)


def script_json(value: object) -> str:
    """Return JSON that may stand inside an HTML script element, whatever its strings hold.

    Example:
        >>> script_json("</script>")
        '"\\\\u003c/script\\\\u003e"'
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _pae(pae: Float[np.ndarray, "token token"]) -> dict[str, Any]:
    steps = np.clip(np.rint(pae / PAE_STEP_ANGSTROM), 0, 255).astype(np.uint8)
    return {
        "bytes": base64.b64encode(steps.tobytes()).decode(),
        "step": PAE_STEP_ANGSTROM,
        "limit": PAE_LIMIT_ANGSTROM,
    }


def _summary(result: FoldedJob, residues: str, chains: str, mean_plddt: str, model: str) -> str:
    count = len(result.best.chain_confidence())
    parts = [
        residues.format(result.best.residue_count),
        *([chains.format(count)] if count > 1 else []),
        f"{mean_plddt} {result.mean_plddt:.1f}",
        *([] if result.ptm is None else [f"pTM {result.ptm:.2f}"]),
        *([] if result.best.iptm is None else [f"ipTM {result.best.iptm:.2f}"]),
        f"{model} {result.provenance.family}",
    ]
    return " · ".join(parts)


@functools.cache
def _part(name: str) -> str:
    return files("itda.results.report").joinpath(name).read_text(encoding="utf-8")
