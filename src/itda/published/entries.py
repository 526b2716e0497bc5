"""The databases that `itda db get` knows, with what is to be known before one is fetched.

Sizes are of 2026 and rounded; the exact ones are asked for before anything is fetched. Sources:
ftp.uniprot.org (RELEASE.metalink in each folder gives size and MD5), ColabFold's
`setup_databases.sh` (names and addresses), rcsb.org "File Download Services" (clusters by entity,
BinaryCIF), wwpdb.org (component dictionary).
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from itda.errors import InputError
from itda.language import Message
from itda.search.databases.swissprot2014 import NAME as SWISSPROT_2014

Kind = Literal["fasta", "colabfold", "entries", "components", "package"]
"""How it is brought: a FASTA file; a ColabFold archive, whose clusters' sequences are taken;
entries of the PDB one by one; the component dictionary; a package of Debian."""

COLABFOLD = "https://opendata.mmseqs.org/colabfold"
UNIPROT = "https://ftp.uniprot.org/pub/databases/uniprot"


@dataclass(frozen=True)
class Entry:
    """A published database.

    Attributes:
        name: What the user calls it.
        title: What it is.
        kind: How it is brought.
        folder: Address of the folder that holds `file`; empty for a package.
        file: Name of the file there; for entries, of the list of them.
        download_bytes: To fetch, about.
        disk_bytes: That it takes on the disk when it is done, about.
        meanwhile_bytes: That building takes beside those two, about.
        build_seconds: That building takes on two processor cores, about.
        licence: For people, with where it stands.
        has_metalink: Whether `RELEASE.metalink` beside the file gives size, MD5 and release.
        note: What else is to be known; empty for nothing.
    """

    name: str
    title: str
    kind: Kind
    folder: str
    file: str
    download_bytes: int
    disk_bytes: int
    meanwhile_bytes: int
    build_seconds: int
    licence: str
    has_metalink: bool = False
    note: str = ""


_ENTRIES = (
    Entry(
        name="swissprot",
        title="Swiss-Prot, UniProt's reviewed entries (0.57 million), with species",
        kind="fasta",
        folder=f"{UNIPROT}/current_release/knowledgebase/complete",
        file="uniprot_sprot.fasta.gz",
        download_bytes=93_000_000,
        disk_bytes=560_000_000,
        meanwhile_bytes=0,
        build_seconds=15,
        licence="CC BY 4.0, uniprot.org/help/license",
        has_metalink=True,
    ),
    Entry(
        name="uniref50",
        title="UniRef50, UniProt in clusters of 50 % identity, with species",
        kind="fasta",
        folder=f"{UNIPROT}/uniref/uniref50",
        file="uniref50.fasta.gz",
        download_bytes=9_000_000_000,
        disk_bytes=50_000_000_000,
        meanwhile_bytes=0,
        build_seconds=1_500,
        licence="CC BY 4.0, uniprot.org/help/license",
        has_metalink=True,
    ),
    Entry(
        name="uniref30",
        title="UniRef30 of February 2023 as ColabFold searches it: one sequence a cluster",
        kind="colabfold",
        folder=COLABFOLD,
        file="uniref30_2302.tar.gz",
        download_bytes=100_000_000_000,
        disk_bytes=30_000_000_000,
        meanwhile_bytes=130_000_000_000,
        build_seconds=10_800,
        licence="CC BY-SA 4.0, colabfold.mmseqs.com",
        note="clusters are not expanded to members, as ColabFold does; builds in 16 GB of memory",
    ),
    Entry(
        name="colabfold-envdb",
        title="ColabFold's environmental sequences of August 2021: one sequence a cluster",
        kind="colabfold",
        folder=COLABFOLD,
        file="colabfold_envdb_202108.tar.gz",
        download_bytes=120_000_000_000,
        disk_bytes=100_000_000_000,
        meanwhile_bytes=180_000_000_000,
        build_seconds=21_600,
        licence="CC BY-SA 4.0, colabfold.mmseqs.com",
        note="clusters are not expanded to members, as ColabFold does; builds in 32 GB of memory",
    ),
    Entry(
        name="pdb30",
        title="templates: an entry of the PDB for each of RCSB's 30 % clusters, with dates",
        kind="entries",
        folder="https://cdn.rcsb.org/resources/sequence/clusters",
        file="clusters-by-entity-30.txt",
        download_bytes=8_000_000_000,
        disk_bytes=3_000_000_000,
        meanwhile_bytes=0,
        build_seconds=18_000,
        licence="CC0 1.0, wwpdb.org/about/usage-policies",
        note="about 45,000 files, eight at a time",
    ),
    Entry(
        name="ccd",
        title="the Chemical Component Dictionary of today, in place of the one that biotite brings",
        kind="components",
        folder="https://files.wwpdb.org/pub/pdb/data/monomers",
        file="components.cif.gz",
        download_bytes=100_000_000,
        disk_bytes=65_000_000,
        meanwhile_bytes=0,
        build_seconds=80,
        licence="CC0 1.0, wwpdb.org/about/usage-policies",
        note="what runs already keeps the one that it has read; builds in 2.5 GB of memory",
    ),
    Entry(
        name=SWISSPROT_2014,
        title="Swiss-Prot of January 2014 from Debian's metastudent-data, without species",
        kind="package",
        folder="",
        file="metastudent-data",
        download_bytes=225_000_000,
        disk_bytes=410_000_000,
        meanwhile_bytes=900_000_000,
        build_seconds=30,
        licence="GPL-2+, the package's copyright file",
        note=f"`itda db add {SWISSPROT_2014} FILE` takes a package file that you have",
    ),
)

ENTRIES = MappingProxyType({entry.name: entry for entry in _ENTRIES})


def get_entry(name: str) -> Entry:
    """Return the database of a name.

    Raises:
        InputError: There is none.
    """
    entry = ENTRIES.get(name)
    if entry is None:
        close = difflib.get_close_matches(name.lower(), ENTRIES, n=1)
        raise InputError(
            Message("there is no database {name} to fetch", name=name),
            hint=Message("did you mean {close}?", close=close[0])
            if close
            else Message("there are {names:,}; your own file: `itda db add`", names=tuple(ENTRIES)),
        )
    return entry
