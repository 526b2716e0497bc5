import numpy as np
import pytest
import torch

from itda.features import TemplateFeatures
from itda.nn.structure.rigid import Rigid
from itda.nn.template_embedding import TemplateEmbedding
from tests.features.test_template import template


@pytest.fixture
def embedding():
    torch.manual_seed(0)
    module = TemplateEmbedding(12, 6, 8)
    for parameter in module.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.2)
    return module


def laid(*templates, tokens=15):
    return TemplateFeatures.from_templates(templates, tokens=tokens)


def test_it_does_not_matter_where_a_template_lies(embedding):
    features = laid(template())
    move = Rigid.from_update(torch.tensor([0.3, -0.5, 0.8, 9.0, -20.0, 4.0]))
    turned = TemplateFeatures(
        features.restype, move.apply(features.backbone), features.mask, features.identity
    )
    for first, second in zip(embedding(features), embedding(turned), strict=True):
        torch.testing.assert_close(first, second, atol=2e-4, rtol=0)


def test_a_mirrored_template_is_told_apart(embedding):
    features = laid(template())
    mirrored = TemplateFeatures(
        features.restype,
        features.backbone * torch.tensor([1, 1, -1]),
        features.mask,
        features.identity,
    )
    assert (embedding(features)[1] - embedding(mirrored)[1]).abs().max() > 1e-2


def test_uncovered_residues_and_empty_templates_add_nothing(embedding):
    single, pair = embedding(laid(template()))
    assert (single[0, 12:] == 0).all()
    assert (pair[0, 12:] == 0).all()
    assert (pair[0, :, 12:] == 0).all()
    assert pair[0, :12, :12].abs().min(-1).values.max() > 0
    alone = laid(template())
    padded = TemplateFeatures(
        torch.nn.functional.pad(alone.restype, (0, 0, 0, 2), value=20),
        torch.nn.functional.pad(alone.backbone, (0, 0, 0, 0, 0, 0, 0, 2)),
        torch.nn.functional.pad(alone.mask, (0, 0, 0, 2)),
        torch.nn.functional.pad(alone.identity, (0, 2)),
    )
    for first, second in zip(embedding(alone), embedding(padded), strict=True):
        torch.testing.assert_close(first, second)


def test_order_of_templates_does_not_matter_here_but_each_counts(embedding):
    one, two = template("a", seed=1), template("b", seed=2)
    forth, back = embedding(laid(one, two)), embedding(laid(two, one))
    torch.testing.assert_close(forth[1], back[1], atol=1e-5, rtol=1e-4)
    assert (forth[1] - embedding(laid(one))[1]).abs().max() > 1e-3


def test_identity_of_the_alignment_is_seen(embedding):
    near, far = laid(template()), laid(template())
    near.identity.fill_(0.95)
    far.identity.fill_(0.05)
    assert (embedding(near)[1] - embedding(far)[1]).abs().max() > 1e-3
    assert np.isfinite(embedding(near)[1].detach().numpy()).all()
