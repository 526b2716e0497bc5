import numpy as np
import torch

from itda.features import TemplateFeatures
from itda.search.templates.template import Template
from tests.chains import make_chain


def template(name="t", length=20, shift=3, pairs=12, seed=0):
    chain = make_chain(name, length, seed)
    return Template(
        name=name,
        sequence=chain.sequence,
        coordinates=chain.coordinates,
        atom_mask=chain.atom_mask,
        query_index=np.arange(pairs, dtype=np.int32),
        template_index=np.arange(shift, shift + pairs, dtype=np.int32),
        identity=0.4,
    )


def test_partners_stand_at_the_residues_they_pair_with():
    one = template()
    features = TemplateFeatures.from_templates([one], tokens=15)
    assert features.mask.tolist() == [[[True] * 12 + [False] * 3]]
    np.testing.assert_array_equal(
        features.backbone[0, 0, 5, 1].numpy(), one.coordinates[8, 1], err_msg="CA of residue 8"
    )
    np.testing.assert_array_equal(features.backbone[0, 0, 5, 2].numpy(), one.coordinates[8, 2])
    assert features.restype[0, 0, 12:].tolist() == [20, 20, 20]
    assert (features.backbone[0, 0, 12:] == 0).all()
    torch.testing.assert_close(features.identity, torch.tensor([[0.4]]))


def test_a_partner_without_a_whole_backbone_is_none():
    one = template()
    one.atom_mask[8, 2] = False
    features = TemplateFeatures.from_templates([one], tokens=15)
    assert not features.mask[0, 0, 5]
    assert features.restype[0, 0, 5] == 20


def test_chains_with_different_numbers_of_templates_share_a_batch():
    two = TemplateFeatures.from_templates([template(), template(shift=0)], tokens=15)
    none = TemplateFeatures.absent(1, 22)
    batch = TemplateFeatures.stack([two, none])
    assert batch.mask.shape == (2, 2, 22)
    assert batch.mask.sum((1, 2)).tolist() == [24, 0]
    assert TemplateFeatures.absent(3, 9).mask.shape == (3, 0, 9)


def test_a_crop_lets_go_of_templates_that_hardly_touch_it():
    arrays = TemplateFeatures.from_templates([template(), template(pairs=15)], tokens=15)
    cut = arrays.crop(3, 15, fewest=10)
    assert cut.mask.shape == (1, 1, 12)
    assert cut.mask.sum() == 12
    np.testing.assert_array_equal(cut.backbone[0, 0, 0], arrays.backbone[0, 1, 3])
