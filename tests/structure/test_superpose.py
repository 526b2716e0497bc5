import biotite.structure as struc
import numpy as np
import pytest

from itda.structure.superpose import present, rmsd, superpose


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return rotation * np.sign(np.linalg.det(rotation))


def test_a_rigid_motion_is_found_again(ubiquitin_ca: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        rotation, translation = random_rotation(rng), rng.normal(size=3) * 50
        found = superpose(ubiquitin_ca, ubiquitin_ca @ rotation.T + translation)
        np.testing.assert_allclose(found.rotation, rotation, atol=1e-9)
        np.testing.assert_allclose(found.translation, translation, atol=1e-7)


def test_agrees_with_biotite(ubiquitin_ca: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    for size in (0.1, 3.0, 30.0):
        mobile = ubiquitin_ca + rng.normal(size=ubiquitin_ca.shape) * size
        fitted, _ = struc.superimpose(ubiquitin_ca, mobile)
        np.testing.assert_allclose(superpose(mobile, ubiquitin_ca).apply(mobile), fitted, atol=2e-4)
        assert rmsd(mobile, ubiquitin_ca, fit=True) == pytest.approx(
            struc.rmsd(ubiquitin_ca, fitted), abs=1e-5
        )


def test_a_mirror_image_is_never_undone(ubiquitin_ca: np.ndarray) -> None:
    mirrored = ubiquitin_ca * [1, 1, -1]
    found = superpose(mirrored, ubiquitin_ca)
    assert np.linalg.det(found.rotation) == pytest.approx(1.0)
    assert rmsd(mirrored, ubiquitin_ca, fit=True) > 8.0


def test_missing_and_masked_points_take_no_part(ubiquitin_ca: np.ndarray) -> None:
    target = ubiquitin_ca + 10
    target[3] = np.nan
    target[5] += 100
    mask = np.ones(len(target), dtype=bool)
    mask[5] = False
    assert superpose(ubiquitin_ca, target, mask=mask).translation == pytest.approx([10, 10, 10])
    assert rmsd(ubiquitin_ca, target, mask=mask) == pytest.approx(np.sqrt(300))
    assert rmsd(ubiquitin_ca, target, fit=True) > 1.0
    assert present(ubiquitin_ca, target, mask=mask).sum() == len(target) - 2


@pytest.mark.parametrize("count", [1, 2])
def test_few_points_still_give_a_proper_rotation(count: int) -> None:
    points = np.arange(3.0 * count).reshape(count, 3)
    found = superpose(points, points + 1)
    assert np.linalg.det(found.rotation) == pytest.approx(1.0)
    np.testing.assert_allclose(found.apply(points), points + 1, atol=1e-9)


def test_points_on_a_line_give_a_proper_rotation() -> None:
    line = np.outer(np.arange(5.0), [1, 2, 3])
    found = superpose(line, line[:, [1, 2, 0]])
    assert np.linalg.det(found.rotation) == pytest.approx(1.0)
    np.testing.assert_allclose(found.apply(line), line[:, [1, 2, 0]], atol=1e-9)


def test_nothing_in_common_is_an_error() -> None:
    missing = np.full((4, 3), np.nan)
    for function in (superpose, rmsd):
        with pytest.raises(ValueError, match="no point"):
            function(missing, np.zeros((4, 3)))
