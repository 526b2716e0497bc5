"""Which species a sequence comes from, read from its header.

| header | read |
| --- | --- |
| `UniRef100_A0A2L2TCV1 … n=1 Tax=Fusarium venenatum TaxID=56646 …` | `56646` |
| `sp|P04637|P53_HUMAN … OS=Homo sapiens OX=9606 GN=TP53` | `9606` |
| `UniRef100_A0A249P6L0_716928/` and a tab (ColabFold, Protenix pairing files) | `716928` |
| `sp|P04637.4|P53_HUMAN RecName: …`, `tr|A0A146SKV9|A0A146SKV9_FUNHE/12-88` | `HUMAN`, `FUNHE` |
| `UniRef90_P04637 … RepID=P53_HUMAN` | `HUMAN` |
| `P53_HUMAN`, `P53_HUMAN/94-297` (Pfam) | `HUMAN` |
| `… OS=Homo sapiens GN=TP53`, `… Tax=Homo sapiens` | `Homo sapiens` |
| `NP_000537.3 cellular tumor antigen p53 [Homo sapiens]` | `Homo sapiens` |

A taxonomy id of NCBI is taken before a mnemonic of UniProt, since it is the finer of the two: a
mnemonic that begins with 9, such as `9GAMM`, stands for all species of a group. The name of a
species is taken where there is neither.

Many names have the form `WORD_WORD` (`1ABC_HEAVY`, `H3_CDR`). Without `sp|`, `tr|` or an accession
before it, a mnemonic is believed where UniProt has it.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

_TAXONOMY_ID = re.compile(r"(?<![A-Za-z])(?:(?:NCBI_)?TaxID|OX|taxon|tax_id)=(\d+)", re.IGNORECASE)
# The root of the taxonomy and what is above all species, or beside them.
_NO_SPECIES = frozenset({"0", "1", "131567", "12908", "28384", "32644", "408169"})
_GROUPS = frozenset({"2", "2157", "2759", "10239", "77133", "256318", "32630"})
# UniProt accession: https://www.uniprot.org/help/accession_numbers; mnemonic of the organism: up to
# five letters and digits: https://www.uniprot.org/help/entry_name
_ACCESSION = r"(?:[OPQ]\d[A-Z0-9]{3}\d|[A-NR-Z]\d(?:[A-Z][A-Z0-9]{2}\d){1,2})(?:[-.]\d+)?"
_MNEMONIC = r"(?=[A-Z0-9]*[A-Z])([A-Z0-9]{3,5})"
_END = r"(?=$|[\s/|,;.])"
_ACCESSION_AND_ID = re.compile(
    rf"^(?:UniRef\d+_)?(?:{_ACCESSION}|UPI[0-9A-F]{{10}})_(\d+)/?(?=\s|$)"
)
_BAR_ENTRY = re.compile(
    rf"(?:^|\|)(?:sp|tr|up|UniProtKB)\|{_ACCESSION}\|[A-Z0-9_]{{1,16}}_{_MNEMONIC}{_END}"
)
_REPRESENTATIVE = re.compile(rf"(?<![A-Za-z])RepID=[A-Z0-9]{{1,11}}_{_MNEMONIC}{_END}")
_ACCESSION_ENTRY = re.compile(rf"^{_ACCESSION}_{_MNEMONIC}{_END}")
_BARE_ENTRY = re.compile(rf"^[A-Z0-9]{{1,5}}_{_MNEMONIC}{_END}")
# Words of the laboratory that are codes as well.
_WORDS = frozenset(
    {
        *("BATCH", "CHAIN", "CLOSE", "CONST", "HALLU", "LAMBD", "PARAT", "PLATE", "PROTE"),
        *("TRIME", "TRIPL"),
    }
)
_NAMES = (
    re.compile(r"(?<![A-Za-z])OS=(\S.*?)\s*(?=\s[A-Z]{2}=|$)"),
    re.compile(r"(?<![A-Za-z])Tax=(\S.*?)\s*(?=\s(?:TaxID|RepID)=|$)"),
    # NCBI's: genus and species at the end, in brackets.
    re.compile(r"\[([A-Z][a-z]+ [a-z]{2}[^\[\]]*)\]\s*$"),
)
_NAMES_OF_NONE = frozenset({"root", "unknown", "unidentified", "cellular organisms"})
_COLLECTIVE = re.compile(r"9[A-Z0-9]{2,4}")


def species_of(header: str) -> str:
    """Return taxonomy id, UniProt mnemonic or name of the species in a header; empty without one.

    Example:
        >>> species_of("UniRef100_Q1 Kinase n=2 Tax=Homo sapiens TaxID=9606")
        '9606'
        >>> species_of("tr|A0A146SKV9|A0A146SKV9_FUNHE/12-88"), species_of("1ABC_HEAVY")
        ('FUNHE', '')
    """
    for pattern in (_TAXONOMY_ID, _ACCESSION_AND_ID):
        found = pattern.search(header)
        if found and found[1] not in _NO_SPECIES:
            return found[1]
    for pattern in (_BAR_ENTRY, _REPRESENTATIVE, _ACCESSION_ENTRY):
        if found := pattern.search(header):
            return found[1]
    if (found := _BARE_ENTRY.match(header)) and found[1] in mnemonics():
        return found[1]
    for pattern in _NAMES:
        if (found := pattern.search(header)) and found[1].lower() not in _NAMES_OF_NONE:
            return found[1]
    return ""


@cache
def mnemonics() -> frozenset[str]:
    """The mnemonics that UniProt has given to organisms, without those that are other words too."""
    text = resources.files("itda.search.alignments").joinpath("species_codes.txt").read_text()
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return frozenset(code for line in lines for code in line.split()) - _WORDS


def kind_of(species: str) -> str:
    """What a species is said by, for messages; only those of one kind can be matched.

    >>> kind_of("9606"), kind_of("HUMAN"), kind_of("Homo sapiens")
    ('taxonomy ids', 'UniProt mnemonics', 'names of species')
    """
    if is_taxonomy_id(species):
        return "taxonomy ids"
    is_mnemonic = species.isalnum() and species == species.upper()
    return "UniProt mnemonics" if is_mnemonic else "names of species"


def is_taxonomy_id(species: str) -> bool:
    """Tell whether a species is an id of NCBI's taxonomy, not a mnemonic."""
    return species.isdigit()


def is_collective(species: str) -> bool:
    """Tell whether a species stands for many, such as `9BACT` or the id 2 for bacteria.

    See https://www.uniprot.org/help/taxonomic_identifier, "virtual codes".
    """
    return species in _GROUPS or (
        not species.isdigit() and _COLLECTIVE.fullmatch(species) is not None
    )
