import numpy as np
import torch

from itda.features import Features, ProfileFeatures, TemplateFeatures, TokenFeatures
from itda.features.batch import PADDING, stack


def features(sequence, *, profile=False):
    tokens = len(sequence)
    given = ProfileFeatures.absent(1, tokens)
    if profile:
        given = ProfileFeatures.from_array(np.full((tokens, 20), 0.05, np.float32))
    return Features(
        TokenFeatures.from_sequence(sequence), given, TemplateFeatures.absent(1, tokens)
    )


def test_each_job_keeps_its_own_and_the_rest_is_what_is_declared():
    long, short = features("MKTAYIAKQR"), features("ACDE", profile=True)
    batch = stack([long, short])
    assert batch.tokens.restype.shape == (2, 10)
    assert batch.tokens.mask.sum(1).tolist() == [10, 4]
    torch.testing.assert_close(batch.tokens.restype[1, :4], short.tokens.restype[0])
    assert (batch.tokens.restype[1, 4:] == PADDING["restype"]).all()
    assert batch.profile.present.tolist() == [False, True]
    assert batch.profile.frequency[1, :4].sum() > 3.9
    assert not batch.profile.frequency[1, 4:].any()
    assert batch.templates.mask.shape == (2, 0, 10)
