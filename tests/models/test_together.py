import itertools

import pytest
import torch

from itda.features import Features, ProfileFeatures, TemplateFeatures, TokenFeatures
from itda.models import together as module
from itda.models.together import ONE_THREAD_TOKENS_MOST, padded_parts, together


def features(*lengths):
    return [
        Features(
            TokenFeatures.from_sequence("A" * length),
            ProfileFeatures.absent(1, length),
            TemplateFeatures.absent(1, length),
        )
        for length in lengths
    ]


def test_values_come_in_the_order_of_the_jobs_and_progress_to_its_end():
    lengths, told, threads = (30, 10, ONE_THREAD_TOKENS_MOST + 1, 20), [], {}

    def run(places, report):
        threads[places[0]] = torch.get_num_threads()
        report(0.5)
        return [f"job {place}" for place in places]

    values = together(
        features(*lengths), run, device="cpu", progress=lambda done, _: told.append(done)
    )
    assert values == ["job 0", "job 1", "job 2", "job 3"]
    assert max(told) == pytest.approx(1.0) and 0 < min(told) < 0.5
    # A small job has one thread whatever is beside it, or its sums would depend on that.
    assert all(count == 1 for place, count in threads.items() if place != 2)


def test_threads_are_given_back(monkeypatch):
    before = torch.get_num_threads()

    def fail(_places, _report):
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        together(features(10, 12), fail, device="cpu", progress=lambda *_: None)
    assert torch.get_num_threads() == before


def test_what_is_padded_together_is_of_like_length_and_kind(monkeypatch):
    lengths = [100, 40, 95, 38, 300, 97]
    parts = padded_parts(lengths, [0, 0, 0, 0, 0, 2])
    assert sorted(itertools.chain(*parts)) == list(range(6))
    assert [2, 0] in [sorted(part, reverse=True) for part in parts]
    for part in parts:
        longest = max(lengths[place] for place in part)
        pairs = sum(lengths[place] ** 2 for place in part)
        assert pairs >= (1 - module.PADDING_MOST) * len(part) * longest**2
    assert [5] in parts, "templates are not padded with none"
    monkeypatch.setattr(module, "PADDED_PAIRS_MOST", 100**2)
    assert all(len(part) == 1 or part == [1, 3] for part in padded_parts(lengths, [0] * 6))
