import numpy as np

from itda.chem.residues import RESTYPE_INDEX
from itda.models.esmfold.features import CHAIN_GAP, LINKER, encode_chains


def test_one_chain_is_its_sequence():
    features = encode_chains(["MKBX"])
    assert features.restype.tolist() == [RESTYPE_INDEX["M"], RESTYPE_INDEX["K"], 20, 20]
    assert features.residue_index.tolist() == [0, 1, 2, 3]
    assert features.kept.all()


def test_linkers_stand_between_chains_and_are_marked():
    features = encode_chains(["MK", "AVL", "W"])
    linker = len(LINKER)
    assert len(features.restype) == 6 + 2 * linker
    assert (features.restype[~features.kept] == RESTYPE_INDEX["G"]).all()
    assert features.kept.sum() == 6
    assert features.chain.tolist() == [0, 0, 1, 1, 1, 2]
    np.testing.assert_array_equal(
        features.residue_index[features.kept],
        [0, 1, *(2 + linker + CHAIN_GAP + i for i in range(3)), 5 + 2 * linker + 2 * CHAIN_GAP],
    )
