import numpy as np
import pytest

from itda.features import Features, ProfileFeatures, TemplateFeatures, TokenFeatures
from itda.train.evaluation.evaluate import SEQUENCE_ONLY, WITH_PROFILE
from itda.train.evaluation.scores import ChainScore
from itda.train.evaluation.templates import (
    COPIED,
    WITH_TEMPLATES,
    TemplateEvaluation,
    summarise_templates,
)
from itda.train.template_table import TemplateTable
from tests.train.test_template_table import PLAIN, database, hit, table  # noqa: F401


def bare(chain):
    return Features(
        TokenFeatures.from_sequence(chain.sequence),
        ProfileFeatures.absent(1, len(chain)),
        TemplateFeatures.absent(1, len(chain)),
    )


def test_a_copy_lacks_what_the_template_lacks(table):  # noqa: F811
    template = table.template(table.hits("0abc_A", table.database.sequence(0))[0])
    copied = template.ca_along(24)
    missing = np.isnan(copied).any(1)
    assert np.flatnonzero(missing).tolist() == [5, 6, 7, *range(15, 24)]
    np.testing.assert_array_equal(copied[8], template.coordinates[7, 1])


def test_copy_and_fold_are_scored_at_each_limit_and_own_entries_are_left_out(
    database,  # noqa: F811
    tmp_path,
):
    chain = database[0]
    hits = [hit("0abc_A", 1.0, *PLAIN), hit("5abc_A", 0.1, range(24), range(24))]
    TemplateTable.write(tmp_path / "t", [(("0abc_A", chain.sequence), hits)], search={})
    table = TemplateTable.open(tmp_path / "t", database)  # noqa: F811
    folded = []

    def fold(features):
        folded.append(features.templates.mask.sum().item())
        return chain.coordinates[:, 1], np.full(len(chain), 90.0)

    scored = list(TemplateEvaluation(table).scores(chain, bare(chain), fold))
    methods = {score.method: score for score, _ in scored}
    assert set(methods) == {
        f"{name}, {label}"
        for name in (COPIED, WITH_TEMPLATES)
        for label in ("below 30 %", "below 50 %", "any")
    }
    assert folded == [24], "the same templates are folded with once"
    assert methods[f"{WITH_TEMPLATES}, any"].lddt_ca == pytest.approx(1)
    assert methods[f"{COPIED}, any"].lddt_ca < 0.9
    pairs = [len(pairs) for _, pairs in scored]
    assert sorted(set(pairs)) == [0, 24]


def test_summary_compares_on_the_same_chains():
    def scores(method, values):
        return [ChainScore(c, method, 50, v, v / 2) for c, v in values.items()]

    summary = summarise_templates(
        [
            *scores(SEQUENCE_ONLY, {"a": 0.2, "b": 0.3, "c": 0.9}),
            *scores(WITH_PROFILE, {"a": 0.3, "b": 0.4, "c": 0.9}),
            *scores(f"{COPIED}, any", {"a": 0.5, "b": 0.4}),
            *scores(f"{WITH_TEMPLATES}, any", {"a": 0.6, "b": 0.35}),
        ],
        sequence_only=SEQUENCE_ONLY,
        with_profile=WITH_PROFILE,
    )
    row = summary["any"]
    assert summary["below 30 %"] == {"chains": 0}
    assert row["chains"] == 2
    assert row["profile_lddt_ca"] == pytest.approx(0.35), "c has no template and does not count"
    assert row["gain_over_copied_lddt_ca"] == pytest.approx(0.025)
    assert row["gain_over_copied_lddt_ca_error"] == pytest.approx(0.075)
    assert row["at_least_copied_lddt_ca"] == pytest.approx(0.5)
    assert row["gain_over_profile_tm_score"] == pytest.approx(0.0625)
