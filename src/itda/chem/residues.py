"""The twenty standard amino acids: alphabets, atoms and torsion angles.

Index orders follow AlphaFold 2 (Jumper et al. 2021, supplementary table 2 and section 1.8), so that
arrays and published weights can be read without a permutation.
"""

from __future__ import annotations

RESTYPES = "ARNDCQEGHILKMFPSTWYV"
"""One-letter codes in index order 0..19."""

UNKNOWN_INDEX = 20
"""Index of X, a residue of unknown type."""

DSSP_LETTERS = "HBEGITS-"
"""Eight states of secondary structure in index order (Kabsch and Sander 1983)."""

RESTYPE_1_TO_3 = dict(
    zip(
        RESTYPES + "X",
        [
            *("ALA", "ARG", "ASN", "ASP", "CYS", "GLN", "GLU", "GLY", "HIS", "ILE", "LEU"),
            *("LYS", "MET", "PHE", "PRO", "SER", "THR", "TRP", "TYR", "VAL", "UNK"),
        ],
        strict=True,
    )
)
RESTYPE_3_TO_1 = {three: one for one, three in RESTYPE_1_TO_3.items()}
RESTYPE_INDEX = {letter: index for index, letter in enumerate(RESTYPES + "X")}

ATOM37 = (
    *("N", "CA", "C", "CB", "O", "CG", "CG1", "CG2", "OG", "OG1", "SG", "CD", "CD1", "CD2"),
    *("ND1", "ND2", "OD1", "OD2", "SD", "CE", "CE1", "CE2", "CE3", "NE", "NE1", "NE2"),
    *("OE1", "OE2", "CH2", "NH1", "NH2", "OH", "CZ", "CZ2", "CZ3", "NZ", "OXT"),
)
"""Heavy atoms of all standard residues, one column each."""

ATOM37_INDEX = {name: index for index, name in enumerate(ATOM37)}

_SIDE_CHAINS = {
    "ALA": "",
    "ARG": "CG CD NE CZ NH1 NH2",
    "ASN": "CG OD1 ND2",
    "ASP": "CG OD1 OD2",
    "CYS": "SG",
    "GLN": "CG CD OE1 NE2",
    "GLU": "CG CD OE1 OE2",
    "GLY": "",
    "HIS": "CG ND1 CD2 CE1 NE2",
    "ILE": "CG1 CG2 CD1",
    "LEU": "CG CD1 CD2",
    "LYS": "CG CD CE NZ",
    "MET": "CG SD CE",
    "PHE": "CG CD1 CD2 CE1 CE2 CZ",
    "PRO": "CG CD",
    "SER": "OG",
    "THR": "OG1 CG2",
    "TRP": "CG CD1 CD2 NE1 CE2 CE3 CZ2 CZ3 CH2",
    "TYR": "CG CD1 CD2 CE1 CE2 CZ OH",
    "VAL": "CG1 CG2",
    "UNK": "",
}

ATOM14 = {
    name: ("N", "CA", "C", "O", *(() if name == "GLY" else ("CB",)), *side_chain.split())
    for name, side_chain in _SIDE_CHAINS.items()
}
"""Heavy atoms of each residue type without OXT, at most 14, backbone first."""

CHI_ATOMS: dict[str, tuple[tuple[str, str, str, str], ...]] = {
    name: tuple(
        (path[index], path[index + 1], path[index + 2], path[index + 3])
        for index in range(len(path) - 3)
    )
    for name, path in {
        "ALA": (),
        "ARG": ("N", "CA", "CB", "CG", "CD", "NE", "CZ"),
        "ASN": ("N", "CA", "CB", "CG", "OD1"),
        "ASP": ("N", "CA", "CB", "CG", "OD1"),
        "CYS": ("N", "CA", "CB", "SG"),
        "GLN": ("N", "CA", "CB", "CG", "CD", "OE1"),
        "GLU": ("N", "CA", "CB", "CG", "CD", "OE1"),
        "GLY": (),
        "HIS": ("N", "CA", "CB", "CG", "ND1"),
        "ILE": ("N", "CA", "CB", "CG1", "CD1"),
        "LEU": ("N", "CA", "CB", "CG", "CD1"),
        "LYS": ("N", "CA", "CB", "CG", "CD", "CE", "NZ"),
        "MET": ("N", "CA", "CB", "CG", "SD", "CE"),
        "PHE": ("N", "CA", "CB", "CG", "CD1"),
        "PRO": ("N", "CA", "CB", "CG", "CD"),
        "SER": ("N", "CA", "CB", "OG"),
        "THR": ("N", "CA", "CB", "OG1"),
        "TRP": ("N", "CA", "CB", "CG", "CD1"),
        "TYR": ("N", "CA", "CB", "CG", "CD1"),
        "VAL": ("N", "CA", "CB", "CG1"),
        "UNK": (),
    }.items()
}
"""Atoms that define chi1 to chi4 of each residue type (IUPAC)."""

CHI_PERIOD_PI = frozenset({("ASP", 2), ("GLU", 3), ("PHE", 2), ("TYR", 2)})
"""Torsions, numbered from chi1, whose value and value + 180 degrees are the same molecule."""

SYMMETRIC_ATOMS = {
    "ASP": (("OD1", "OD2"),),
    "GLU": (("OE1", "OE2"),),
    "PHE": (("CD1", "CD2"), ("CE1", "CE2")),
    "TYR": (("CD1", "CD2"), ("CE1", "CE2")),
}
"""Atom pairs whose names are exchanged by such a half turn."""

VAN_DER_WAALS_RADIUS_ANGSTROM = {"C": 1.70, "N": 1.55, "O": 1.52, "S": 1.80}
"""Bondi radii (J. Phys. Chem. 1964, 68, 441)."""


def sequence_to_indices(sequence: str) -> list[int]:
    """Give the residue-type index of each letter; letters outside the alphabet become X.

    >>> sequence_to_indices("ARX")
    [0, 1, 20]
    """
    return [RESTYPE_INDEX.get(letter, UNKNOWN_INDEX) for letter in sequence]
