import pytest

from itda.job.model import Job
from itda.job.sizes import JobSize, size_of, smiles_atoms


def job(*entities: dict) -> Job:
    return Job.from_dict({"version": 1, "name": "x", "entities": list(entities)})


@pytest.mark.parametrize(
    ("entity", "size"),
    [
        ({"protein": {"sequence": "GAV"}}, (3, 3, 16)),
        ({"protein": {"sequence": "GAV", "id": ["A", "B"]}}, (6, 6, 32)),
        ({"rna": {"sequence": "ACGU"}}, (4, 4, 85)),
        ({"dna": {"sequence": "ACGT"}}, (4, 4, 82)),
        ({"ion": {"ccd": "ZN"}}, (1, 1, 1)),
        ({"ligand": {"ccd": "GOL"}}, (1, 6, 6)),
        ({"ligand": {"ccd": ["NAG", "NAG"]}}, (2, 30, 30)),
        ({"ligand": {"smiles": "CC(=O)Oc1ccccc1C(=O)O"}}, (1, 13, 13)),
        # Phosphoserine: 11 heavy atoms as a free molecule, each a token.
        (
            {
                "protein": {
                    "sequence": "GSG",
                    "modifications": [{"position_1based": 2, "ccd": "SEP"}],
                }
            },
            (3, 13, 19),
        ),
    ],
)
def test_residues_tokens_and_atoms(entity: dict, size: tuple[int, int, int]) -> None:
    assert size_of(job(entity)) == JobSize(*size)


def test_a_complex_is_the_sum_of_its_molecules() -> None:
    both = job({"protein": {"sequence": "GAV"}}, {"ligand": {"ccd": "GOL"}}, {"ion": {"ccd": "MG"}})
    assert size_of(both) == JobSize(5, 10, 23)


@pytest.mark.parametrize(
    ("smiles", "heavy"),
    [
        ("C", 1), ("[H][H]", 0), ("ClCCl", 3), ("BrCC", 3), ("[Cl-].[Na+]", 2),
        ("c1ccc2[nH]ccc2c1", 9), ("[13CH4]", 1), ("[2H]C([2H])O", 2), ("C[C@@H](C(=O)O)N", 6),
        ("O=[Se]=O", 3), ("[Fe+2]", 1), ("N#Cc1ccncc1", 8), ("C%10CCCCC%10", 6), ("[OH3+]", 1),
        ("FC(F)(F)I", 5), ("[Hg]", 1), ("[nH+]1ccccc1", 6), ("C*", 2),
    ],
)  # fmt: skip
def test_heavy_atoms_of_a_smiles(smiles: str, heavy: int) -> None:
    assert smiles_atoms(smiles) == heavy
