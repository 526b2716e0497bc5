"""What values of the books are called on a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from itda.language import Face, mark

WORDS: Mapping[str, Mapping[str, str]] = {
    "state": {
        "queued": mark("waiting"),
        "running": mark("running"),
        "done": mark("done"),
        "failed": mark("failed"),
        "cancelled": mark("cancelled"),
    },
    "stage": {
        "weights": mark("Read the weights"),
        "alignment": mark("Search for an alignment"),
        "templates": mark("Search for templates"),
        "predict": mark("Predict the structure"),
        "validity": mark("Check the geometry"),
    },
    "stage_state": {
        "running": mark("running"),
        "done": mark("done"),
        "failed": mark("failed"),
        "stopped": mark("stopped"),
    },
    "priority": {
        "0": mark("Urgent"),
        "1": mark("Normal"),
        "2": mark("Background"),
    },
    "role": {
        "viewer": mark("viewer"),
        "member": mark("member"),
        "manager": mark("manager"),
    },
    "scope": {
        "read": mark("read jobs and results"),
        "submit": mark("submit jobs"),
        "manage": mark("manage projects"),
        "admin": mark("administer the server"),
    },
    "device": {
        "cpu": mark("CPU"),
        "gpu": mark("GPU"),
    },
    "period": {
        "day": mark("per day"),
        "month": mark("per month"),
    },
    "worker": {
        "active": mark("active"),
        "draining": mark("draining"),
        "gone": mark("gone"),
    },
    "molecule": {
        "protein": mark("protein"),
        "dna": mark("DNA"),
        "rna": mark("RNA"),
        "ligand": mark("ligand"),
        "ion": mark("ion"),
    },
    "level": {
        "organisation": mark("organisation"),
        "project": mark("project"),
        "user": mark("user"),
    },
    "setting": {
        "samples": mark("Samples"),
        "seed": mark("Seed"),
        "recycles": mark("Recycles"),
        "msa": mark("Alignment search"),
        "databases": mark("Databases"),
        "templates": mark("Templates"),
        "max_template_date": mark("Templates released by"),
        "max_template_identity": mark("Templates' largest identity"),
        "template_count": mark("Most templates"),
        "effort": mark("Effort"),
        "deterministic": mark("Deterministic"),
    },
    "effort": {
        "quick": mark("one set of templates"),
        "normal": mark("up to 5 sets of templates"),
        "thorough": mark("up to 10 sets of templates"),
    },
    "theme": {
        "auto": mark("Automatic"),
        "light": mark("Light"),
        "dark": mark("Dark"),
    },
}
"""Words in English by what they are of; the catalogue has them in other languages."""


def word(kind: str, value: object) -> str:
    """Return what a value is called, or the value where it has no word.

    >>> word("state", "queued"), word("stage", "relax")
    ('waiting', 'relax')
    """
    plain = getattr(value, "value", value)
    return WORDS[kind].get(str(plain), str(plain))


_LABELS = {
    "samples": mark("Samples"),
    "effort": mark("Effort"),
    "seed": mark("Seed"),
    "recycles": mark("Recycles"),
    "msa": mark("Alignment search"),
    "templates": mark("Template search"),
    "model": mark("Model family"),
    "db": mark("Databases"),
}


def page_face(translate: Callable[[str], str]) -> Face:
    """Return how a page calls options: by the words that stand at its form's fields."""
    names = {name: f"“{translate(label)}”" for name, label in _LABELS.items()}
    return Face(alone="{name}", valued="{name} {value}", names=names, commands=False)


PAGE = page_face(str)
