"""Which species a sequence comes from, read from its header.

| header | read |
| --- | --- |
| `UniRef100_A0A2L2TCV1 … n=1 Tax=Fusarium venenatum TaxID=56646 …` | `56646` |
| `sp|P04637|P53_HUMAN … OS=Homo sapiens OX=9606 GN=TP53` | `9606` |
| `UniRef100_A0A249P6L0_716928/` and a tab (ColabFold, Protenix pairing files) | `716928` |
| `tr|A0A146SKV9|A0A146SKV9_FUNHE/12-88`, `P53_HUMAN` | `FUNHE`, `HUMAN` |

A taxonomy id of NCBI is taken before a mnemonic of UniProt, since it is the finer of the two: a
mnemonic that begins with 9, such as `9GAMM`, stands for all species of a group.
"""

from __future__ import annotations

import re

_TAXONOMY_ID = re.compile(r"(?<![A-Za-z])(?:TaxID|OX|taxid|NCBI_TaxID)=(\d+)")
# UniProt accession: https://www.uniprot.org/help/accession_numbers; mnemonic of the organism: up to
# five letters and digits: https://www.uniprot.org/help/entry_name
_ACCESSION = r"(?:[OPQ]\d[A-Z0-9]{3}\d|[A-NR-Z]\d(?:[A-Z][A-Z0-9]{2}\d){1,2})(?:-\d+)?"
_MNEMONIC = r"(?=[A-Z0-9]*[A-Z])([A-Z0-9]{3,5})"
_ACCESSION_AND_ID = re.compile(
    rf"^(?:UniRef\d+_)?(?:{_ACCESSION}|UPI[0-9A-F]{{10}})_(\d+)/?(?=\s|$)"
)
_BAR_ENTRY = re.compile(rf"^(?:sp|tr)\|{_ACCESSION}\|[A-Z0-9]{{1,11}}_{_MNEMONIC}(?=$|[\s/_|])")
# Not `7WUX_AAA`, an entry of the PDB and its chain.
_ENTRY = re.compile(
    r"^(?!\d[A-Z0-9]{3}_[A-Z0-9]{1,4}(?![A-Z0-9]))"
    rf"(?:[A-Z0-9]{{1,5}}|{_ACCESSION})_{_MNEMONIC}(?=$|[\s/])"
)
_COLLECTIVE = re.compile(r"9[A-Z0-9]{2,4}")


def species_of(header: str) -> str:
    """Return the taxonomy id or the UniProt mnemonic in a header; empty where there is none.

    Example:
        >>> species_of("UniRef100_Q1 Kinase n=2 Tax=Homo sapiens TaxID=9606")
        '9606'
        >>> species_of("tr|A0A146SKV9|A0A146SKV9_FUNHE/12-88"), species_of("MGYP000510094044")
        ('FUNHE', '')
    """
    for pattern in (_TAXONOMY_ID, _ACCESSION_AND_ID, _BAR_ENTRY, _ENTRY):
        found = pattern.search(header)
        if found:
            return str(found.group(1))
    return ""


def is_taxonomy_id(species: str) -> bool:
    """Tell whether a species is an id of NCBI's taxonomy, not a mnemonic."""
    return species.isdigit()


def is_collective(species: str) -> bool:
    """Tell whether a mnemonic stands for many species, such as `9BACT` for bacteria.

    See https://www.uniprot.org/help/taxonomic_identifier, "virtual codes".
    """
    return not species.isdigit() and _COLLECTIVE.fullmatch(species) is not None
