import numpy as np
import pytest

from itda.structure.neighbours import pairs_within


def found(points: np.ndarray, radius: float, **options: np.ndarray) -> set[tuple[int, int]]:
    pairs = [
        (int(one), int(other))
        for first, second in pairs_within(points, radius, **options)
        for one, other in zip(first, second, strict=True)
    ]
    assert len(pairs) == len(set(pairs))
    return set(pairs)


def by_force(points: np.ndarray, radius: float) -> set[tuple[int, int]]:
    distance = np.linalg.norm(points[:, np.newaxis] - points, axis=-1)
    first, second = np.nonzero(np.triu(distance < radius, k=1))
    return set(zip(first.tolist(), second.tolist(), strict=True))


@pytest.mark.parametrize(("count", "spread"), [(2, 5.0), (300, 20.0), (2500, 90.0)])
def test_every_pair_comes_once(count: int, spread: float) -> None:
    points = np.random.default_rng(count).uniform(-spread, spread, (count, 3))
    assert found(points, 7.5) == by_force(points, 7.5)


def test_a_stray_point_far_away_changes_nothing() -> None:
    points = np.random.default_rng(0).uniform(0, 20, (200, 3))
    strayed = np.concatenate([points, [[9999.0, -9999.0, 9999.0], [1e6, 0, 0]]])
    assert found(strayed, 4.0) == by_force(points, 4.0)


def test_missing_and_masked_points_have_no_neighbours() -> None:
    points = np.zeros((4, 3))
    points[1] = np.nan
    mask = np.array([True, True, False, True])
    assert found(points, 1.0, mask=mask) == {(0, 3)}
    assert found(points[:1], 1.0) == set()
    assert found(np.zeros((0, 3)), 1.0) == set()


def test_a_pair_at_the_radius_is_left_out() -> None:
    points = np.array([[0.0, 0, 0], [15.0, 0, 0], [14.999, 0, 0]])
    assert found(points, 15.0) == {(0, 2), (1, 2)}
