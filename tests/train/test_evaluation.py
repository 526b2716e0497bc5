import numpy as np
import pytest
import torch

from itda.hub import weights as hub_weights
from itda.models.mini import FAMILY
from itda.models.mini.config import MiniConfig
from itda.models.mini.modeling import Mini
from itda.structure.chains.dataset import ChainDataset
from itda.structure.lddt import lddt
from itda.train.evaluation import evaluate as evaluation
from itda.train.evaluation.baselines import random_fold, secondary_structure_only
from itda.train.evaluation.scores import ChainScore, score_chain, summarise
from itda.train.sampler import ChainPool
from itda.train.split import Split
from tests.train.conftest import RECIPE


def test_perfect_and_mirrored_chains():
    random = np.random.default_rng(0)
    true = np.cumsum(random.normal(0, 2, (60, 3)), axis=0)
    mask = random.random(60) > 0.1
    perfect, residues = score_chain("a", "m", true, true, mask)
    assert perfect.lddt_ca == pytest.approx(1)
    assert perfect.tm_score == pytest.approx(1, abs=1e-6)
    assert len(residues) == perfect.residues == mask.sum()
    mirrored, _ = score_chain("a", "m", true * [1, 1, -1], true, mask)
    assert mirrored.lddt_ca == pytest.approx(1)
    assert mirrored.tm_score < 0.7


def test_helices_of_the_baseline_are_helices():
    ca = secondary_structure_only("H" * 20)
    np.testing.assert_allclose(np.linalg.norm(np.diff(ca, axis=0), axis=1), 3.8, atol=0.05)
    rise = np.linalg.norm(ca[18] - ca[0]) / 18
    assert 1.3 < rise < 1.7
    strand = secondary_structure_only("E" * 20)
    assert np.linalg.norm(strand[18] - strand[0]) / 18 > 3.0


def test_best_random_fold_is_the_best_of_what_was_drawn(data_folder):
    dataset = ChainDataset.open(data_folder / "chains")
    split = Split.read(data_folder / "split")
    pool = ChainPool.collect([dataset], split, "train", min_length=10, side_chains=False)
    true = dataset[8].coordinates[:20, 1]
    mask = np.ones(20, bool)
    scores = [
        lddt(
            random_fold(pool, true, mask, draws=draws, random=np.random.default_rng(0)), true
        ).score
        for draws in (1, 10)
    ]
    assert scores[1] >= scores[0]
    long = np.zeros((500, 3))
    mask = np.ones(500, bool)
    assert random_fold(pool, long, mask, draws=2, random=np.random.default_rng(0)) is None


def test_evaluation_folds_the_named_chains_and_nothing_else(data_folder, tmp_path):
    torch.manual_seed(0)
    config = MiniConfig(**RECIPE["model"])
    path = tmp_path / "w.safetensors"
    card = {"family": "mini", "name": "w", "licence": "Apache-2.0", "config": config.model_dump()}
    hub_weights.save(path, Mini(config).state_dict(), card=card)
    model = FAMILY.load(path, "cpu")
    dataset = ChainDataset.open(data_folder / "chains")
    split = Split.read(data_folder / "split")
    chains = evaluation.held_out_chains([dataset], split, "test", longest=400)
    assert [d.ids[i] for d, i in chains] == ["10abc_A", "11abc_A"]
    pool = ChainPool.collect([dataset], split, "train", min_length=10, side_chains=False)
    result = evaluation.evaluate(model, chains, training=pool, refine_steps=0)
    assert {score.method for score in result.scores} == {
        evaluation.SEQUENCE_ONLY,
        evaluation.WITH_PROFILE,
        evaluation.SECONDARY_STRUCTURE,
    }, "no training chain is as long as a test chain"
    summary = summarise(result.scores, result.residue_pairs)
    assert summary[evaluation.SEQUENCE_ONLY]["chains"] == 2
    assert 0 < summary[evaluation.SECONDARY_STRUCTURE]["lddt_ca_mean"] < 1


def test_summary_statistics():
    scores = [
        ChainScore(str(i), "m", 50, lddt_ca=value, tm_score=0.1 * i, plddt=value + 0.1)
        for i, value in enumerate([0.2, 0.4, 0.9])
    ]
    row = summarise(scores, {"m": [(0.1, 0.3), (0.2, 0.2), (0.3, 0.1)]})["m"]
    assert row["lddt_ca_mean"] == pytest.approx(0.5)
    assert row["lddt_ca_median"] == pytest.approx(0.4)
    assert row["plddt_correlation_chains"] == pytest.approx(1)
    assert row["plddt_correlation_residues"] == pytest.approx(-1)
