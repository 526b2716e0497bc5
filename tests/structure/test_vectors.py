import biotite.structure as struc
import numpy as np

from itda.structure.vectors import bond_angle_degrees, chiral_volume, dihedral_degrees


def test_angles_and_torsions_agree_with_biotite() -> None:
    a, b, c, d = np.random.default_rng(0).normal(size=(4, 200, 3))
    # biotite reckons in float32.
    np.testing.assert_allclose(
        bond_angle_degrees(a, b, c), np.degrees(struc.angle(a, b, c)), atol=1e-3
    )
    np.testing.assert_allclose(
        dihedral_degrees(a, b, c, d), np.degrees(struc.dihedral(a, b, c, d)), atol=1e-3
    )


def test_a_missing_point_gives_nan() -> None:
    here, gone = np.ones((1, 3)), np.full((1, 3), np.nan)
    assert np.isnan(bond_angle_degrees(here, gone, here * 2)).all()
    assert np.isnan(dihedral_degrees(here, here * 2, gone, here * 3)).all()
    assert np.isnan(chiral_volume(here, here * 2, gone, here * 3)).all()


def test_a_mirror_image_changes_the_sign_of_the_volume() -> None:
    points = np.random.default_rng(1).normal(size=(4, 50, 3))
    np.testing.assert_allclose(chiral_volume(*points), -chiral_volume(*(points * [1, 1, -1])))
