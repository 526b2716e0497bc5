import numpy as np
import pytest

from itda.chem.literature import literature_placement
from itda.chem.residues import RESTYPE_INDEX, RESTYPES


@pytest.fixture(params=["transformers", "flash_abb"])
def published(request):
    """The tables of two packages that carry AlphaFold 2's."""
    if request.param == "transformers":
        return pytest.importorskip("transformers.models.esm.openfold_utils.residue_constants")
    return pytest.importorskip("flash_abb.model.openfold.np.residue_constants")


def test_atoms_and_frames_equal_the_published_tables(published):
    ours = literature_placement()
    known = range(len(RESTYPES))
    np.testing.assert_array_equal(ours.atom14_mask[known], published.restype_atom14_mask[known] > 0)
    groups = np.where(ours.atom14_mask, ours.atom14_group, 0)
    np.testing.assert_array_equal(groups[known], published.restype_atom14_to_rigid_group[known])
    np.testing.assert_allclose(
        ours.atom14_position[known],
        published.restype_atom14_rigid_group_positions[known],
        atol=1e-6,
    )
    frames = published.restype_rigid_group_default_frame[known]
    # Groups that a residue lacks have no frame there.
    present = np.abs(frames[..., :3, :3]).sum((-1, -2)) > 0
    np.testing.assert_allclose(
        ours.default_rotation[known][present], frames[..., :3, :3][present], atol=1e-6
    )
    np.testing.assert_allclose(
        ours.default_translation[known][present], frames[..., :3, 3][present], atol=1e-6
    )


def test_an_unknown_residue_has_the_backbone_of_glycine():
    ours = literature_placement()
    glycine = RESTYPE_INDEX["G"]
    assert ours.atom14_mask[20].sum() == 4
    np.testing.assert_array_equal(ours.atom14_position[20], ours.atom14_position[glycine])
    np.testing.assert_array_equal(ours.default_rotation[20], ours.default_rotation[glycine])
