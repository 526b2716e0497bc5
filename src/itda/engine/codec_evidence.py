"""Alignments and templates as bytes and back, without loss, for the store."""

from __future__ import annotations

import dataclasses
import gzip
import json
import math
from collections.abc import Iterable, Mapping

from itda.engine.searches import FoundTemplates
from itda.engine.stages import Codec
from itda.search.alignments.alignment import Alignment, encode_rows
from itda.search.templates.codec import decode_templates, encode_templates, templates_digest
from itda.search.templates.selection import FoundHit
from itda.search.templates.template import Template
from itda.storage import OtherFormatError
from itda.store.store import digest_of

ALIGNMENT_FORMAT = 1

_ROWS = "alignment.a3m.gz"
_DETAILS = "alignment.json.gz"
_REFUSED = "refused.json"
_HITS = "hits.json.gz"
_NAMES_SHOWN = 4


def encode_alignment(alignment: Alignment) -> dict[str, bytes]:
    """Return files that hold the alignment: A3M, and where each row is from."""
    details = {
        "format": ALIGNMENT_FORMAT,
        "source": alignment.source,
        "species": alignment.species,
    }
    return {
        _ROWS: _packed(alignment.to_a3m()),
        _DETAILS: _packed(json.dumps(details)),
    }


def decode_alignment(files: Mapping[str, bytes]) -> Alignment:
    """Return the alignment that `encode_alignment` was given.

    Raises:
        OtherFormatError: The files are of another format.
    """
    details = json.loads(gzip.decompress(files[_DETAILS]))
    if details["format"] != ALIGNMENT_FORMAT:
        raise OtherFormatError(
            f"an alignment of format {details['format']}, not {ALIGNMENT_FORMAT}"
        )
    # Read as it was written, not as a user's file: names come back to the letter.
    lines = gzip.decompress(files[_ROWS]).decode("utf-8", "surrogateescape").split("\n")[:-1]
    names, texts = [line[1:] for line in lines[::2]], lines[1::2]
    length = sum(not letter.islower() for letter in texts[0])
    return Alignment(
        tuple(names),
        encode_rows(texts, names, length=length, where="a stored alignment"),
        tuple(texts),
        tuple(details["source"]),
        tuple(details["species"]),
    )


def encode_found(found: FoundTemplates) -> dict[str, bytes]:
    """Return files that hold the templates, arrays bit for bit, and what was refused."""
    hits = [
        {**dataclasses.asdict(hit), "e_value": None if math.isnan(hit.e_value) else hit.e_value}
        for hit in found.hits
    ]
    return {
        **encode_templates(found.templates),
        _REFUSED: json.dumps(found.refused).encode(),
        _HITS: _packed(json.dumps(hits)),
    }


def decode_found(files: Mapping[str, bytes]) -> FoundTemplates:
    """Return what `encode_found` was given.

    Raises:
        OtherFormatError: The files are of another format.
    """
    hits = [
        FoundHit(**{**hit, "e_value": math.nan if hit["e_value"] is None else hit["e_value"]})
        for hit in json.loads(gzip.decompress(files[_HITS]))
    ]
    return FoundTemplates(decode_templates(files), json.loads(files[_REFUSED]), tuple(hits))


def alignment_key(alignment: Alignment | None) -> dict[str, str] | None:
    """Return what tells alignments apart for a model: rows, names and species, not where from."""
    if alignment is None:
        return None
    return {"rows": alignment.digest, "species": digest_of(alignment.species)}


def templates_key(templates: Iterable[Template]) -> str:
    """Return what tells templates apart for a model: atoms and pairs, not what they are called."""
    return templates_digest(
        [
            dataclasses.replace(template, name="", source="", release_date="", e_value=float("nan"))
            for template in templates
        ]
    )


def describe_alignment(alignment: Alignment) -> str:
    """Return how many relatives there are, for people.

    Example:
        >>> describe_alignment(Alignment.from_aligned("MKT", ["a"], ["MRT"]))
        '1 relative'
    """
    relatives = len(alignment) - 1
    return f"{relatives:,} relative{'s' if relatives != 1 else ''}" if relatives else "no relative"


def describe_found(found: FoundTemplates) -> str:
    """Return how many templates there are, the names of the best and what was refused."""
    templates = found.templates
    shown = ", ".join(f"{one.name} ({one.identity:.0%})" for one in templates[:_NAMES_SHOWN])
    shown += ", …" if len(templates) > _NAMES_SHOWN else ""
    said = f"{len(templates)} template{'s' if len(templates) > 1 else ''}: {shown}"
    return (said if templates else "no template") + (
        f"; refused: {found.refused}" if found.refused else ""
    )


def _packed(text: str) -> bytes:
    # No time stamp, so that what is equal gives equal bytes.
    return gzip.compress(text.encode("utf-8", "surrogateescape"), compresslevel=6, mtime=0)


ALIGNMENT = Codec(encode_alignment, decode_alignment, describe_alignment)
TEMPLATES = Codec(encode_found, decode_found, describe_found)
