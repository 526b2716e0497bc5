import torch

from itda.nn.structure.rigid import Rigid, pairwise_distance


def random_frames(*shape):
    generator = torch.Generator().manual_seed(0)
    return Rigid.from_update(torch.randn(*shape, 6, generator=generator))


def test_rotations_are_proper():
    rotation = random_frames(50).rotation
    identity = torch.eye(3).expand(50, 3, 3)
    torch.testing.assert_close(rotation @ rotation.transpose(-1, -2), identity, atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(50), atol=1e-5, rtol=0)


def test_invert_undoes_apply():
    frames, points = random_frames(20), torch.randn(20, 3)
    torch.testing.assert_close(
        frames.invert_apply(frames.apply(points)), points, atol=1e-5, rtol=1e-4
    )


def test_compose_applies_the_inner_first():
    outer, inner, points = random_frames(7), random_frames(7), torch.randn(7, 3)
    torch.testing.assert_close(
        outer.compose(inner).apply(points), outer.apply(inner.apply(points)), atol=1e-5, rtol=1e-4
    )


def test_three_points_define_the_axes():
    origin, on_x, in_plane = torch.randn(3, 11, 3)
    frames = Rigid.from_three_points(origin, on_x, in_plane)
    x, plane = frames.invert_apply(on_x), frames.invert_apply(in_plane)
    torch.testing.assert_close(x[:, 1:], torch.zeros(11, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(plane[:, 2], torch.zeros(11), atol=1e-5, rtol=0)
    assert (x[:, 0] > 0).all()
    assert (plane[:, 1] > 0).all()


def test_distances_keep_their_digits_far_from_the_origin():
    points = torch.rand(1, 40, 3) + 900.0
    exact = torch.cdist(points.double(), points.double())
    torch.testing.assert_close(pairwise_distance(points, points).double(), exact, atol=1e-4, rtol=0)
