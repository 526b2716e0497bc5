"""The shipped example: its sequence, and the experimental structure that the demo compares with."""

from importlib.resources import files
from pathlib import Path

import gemmi

EXAMPLES = Path(str(files("itda"))) / "data" / "examples"
UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"


def test_fasta_is_one_record_named_ubiquitin() -> None:
    header, *lines = (EXAMPLES / "ubiquitin.fasta").read_text(encoding="ascii").splitlines()
    assert header.split()[0] == ">ubiquitin"
    assert "".join(lines) == UBIQUITIN


def test_structure_is_the_whole_experimental_chain() -> None:
    structure = gemmi.read_structure(str(EXAMPLES / "1ubq.cif"))
    chain = structure[0]["A"].get_polymer()
    assert structure.name == "1UBQ"
    assert structure.resolution == 1.8
    assert gemmi.one_letter_code([residue.name for residue in chain]) == UBIQUITIN
    assert sum(len(residue) for residue in chain) == 602
