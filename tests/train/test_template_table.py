import numpy as np
import pytest

from itda.errors import DataError, WeightsError
from itda.hub import weights as hub_weights
from itda.models.mini.config import MiniConfig
from itda.models.mini.modeling import Mini
from itda.search.templates.hits import TemplateHit
from itda.structure.chains.dataset import ChainDataset
from itda.train.batch import Crop
from itda.train.families.mini import TRAINABLE
from itda.train.recipe import Recipe
from itda.train.sampler import StepDataset, TemplateDraw
from itda.train.split import Split
from itda.train.template_table import MANIFEST, TemplateTable
from itda.train.trainable import make_batch
from itda.train.warm_start import start_from
from tests.train.conftest import RECIPE


def hit(name, identity, query, template, e_value=1e-9):
    return TemplateHit(
        chain=0,
        name=name,
        e_value=e_value,
        bits=40.0,
        identity=identity,
        query_index=np.array(query, np.int32),
        template_index=np.array(template, np.int32),
    )


GAPPED = ([0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 14], [2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15])
PLAIN = (list(range(14)), list(range(3, 17)))


@pytest.fixture
def database(data_folder):
    return ChainDataset.open(data_folder / "chains")


@pytest.fixture
def table(database, tmp_path):
    hits = {
        "0abc_A": [
            hit("0abc_A", 1.0, *PLAIN),
            hit("3abc_A", 0.7, *GAPPED),
            hit("10abc_A", 0.6, *PLAIN),
            hit("5abc_A", 0.25, *PLAIN),
        ],
        "1abc_A": [],
        "2abc_A": [hit("4abc_A", 0.35, *PLAIN)],
    }
    rows = [((name, database.sequence(database.index_of(name))), own) for name, own in hits.items()]
    TemplateTable.write(tmp_path / "table", rows, search={"program": "made"})
    return TemplateTable.open(tmp_path / "table", database)


def test_hits_come_back_as_they_went_in(table, database):
    found = table.hits("0abc_A", table.database.sequence(0))
    assert [one.name for one in found] == ["3abc_A", "10abc_A", "5abc_A"], "never the chain itself"
    assert found[0].query_index.tolist() == GAPPED[0]
    assert found[0].template_index.tolist() == GAPPED[1]
    assert found[0].identity == pytest.approx(0.7)
    template = table.template(found[0])
    np.testing.assert_array_equal(template.coordinates, database[3].coordinates)
    assert table.hits("1abc_A", table.database.sequence(1)) == table.hits("x", "MK") == []
    below = table.hits(
        "0abc_A", table.database.sequence(0), accept=lambda _, identity: identity < 0.5
    )
    assert [one.name for one in below] == ["5abc_A"]


def test_two_stretches_of_one_chain_have_their_own_alignments(database, tmp_path):
    whole, part = database.sequence(0), database.sequence(0)[4:]
    rows = [
        (("0abc_A", whole), [hit("3abc_A", 0.5, range(4, 18), range(14))]),
        (("0abc_A", part), [hit("3abc_A", 0.5, range(14), range(14))]),
    ]
    TemplateTable.write(tmp_path / "two", rows, search={})
    table = TemplateTable.open(tmp_path / "two", database)
    starts = [table.hits("0abc_A", sequence)[0].query_index[0] for sequence in (whole, part)]
    assert starts == [4, 0]
    assert table.hits("0abc_A", whole[:-1]) == []


def test_a_table_that_was_altered_or_belongs_to_other_chains_is_refused(
    table, database, data_folder, tmp_path
):
    arrays = tmp_path / "table" / "templates.npz"
    content = arrays.read_bytes()
    arrays.write_bytes(content[:-1] + b"x")
    with pytest.raises(DataError, match="altered"):
        TemplateTable.open(tmp_path / "table", database)
    arrays.write_bytes(content)
    other = ChainDataset.write(tmp_path / "other", [database[0]], source={"name": "one"})
    with pytest.raises(DataError, match="no chain"):
        TemplateTable.open(tmp_path / "table", other)
    (tmp_path / "table" / MANIFEST).write_text("{}")
    with pytest.raises(DataError, match="not a table of templates"):
        TemplateTable.open(tmp_path / "table", database)


def test_training_never_sees_a_template_of_another_part(table, database, data_folder):
    split = Split.read(data_folder / "split")
    draw = TemplateDraw(table, split, 1.0, (1.01,), most=4)
    random = np.random.default_rng(0)
    drawn = [draw.draw(database[0], random) for _ in range(60)]
    assert {template.name for own in drawn for template in own} == {"3abc_A", "5abc_A"}
    for own in drawn:
        assert [template.identity for template in own] == sorted(
            (template.identity for template in own), reverse=True
        ), "the order of trust is kept"
    assert draw.draw(database[1], random) == []


def test_identity_limits_and_dropped_templates_are_drawn(table, database, data_folder):
    split = Split.read(data_folder / "split")
    strict = TemplateDraw(table, split, 1.0, (0.3,), most=4)
    random = np.random.default_rng(0)
    assert {t.name for _ in range(20) for t in strict.draw(database[0], random)} == {"5abc_A"}
    half = TemplateDraw(table, split, 0.5, (1.01,), most=1)
    counts = [len(half.draw(database[0], random)) for _ in range(400)]
    assert 150 < sum(counts) < 250
    never = TemplateDraw(table, split, 0.0, (1.01,), most=1)
    assert never.draw(database[0], random) == []


def test_steps_offer_templates_and_are_the_same_again(table, database, data_folder):
    recipe = Recipe.model_validate(
        {
            **RECIPE,
            "data": {**RECIPE["data"], "templates": "t", "template_database": "chains"},
        }
    )
    split = Split.read(data_folder / "split")
    steps = StepDataset.from_recipe(recipe, [database], split, table=table)
    batches = [steps[number] for number in range(14)]
    offered = [batch.features.templates.mask.any().item() for batch in batches]
    assert any(offered)
    assert not all(offered)
    for number, batch in enumerate(batches):
        again = steps[number].features.templates
        assert (again.backbone == batch.features.templates.backbone).all()


def test_a_batch_crops_templates_with_the_chain(table, database):
    templates = [table.template(one) for one in table.hits("0abc_A", table.database.sequence(0))]
    crops = [Crop(database[0], 0, 16, False, templates), Crop(database[1], 3, 20, False)]
    batch = make_batch(crops, TRAINABLE)
    laid = batch.features.templates
    assert laid.mask.shape == (2, 3, 17)
    assert laid.mask[0].sum(-1).tolist() == [12, 14, 14]
    assert not laid.mask[1].any()
    np.testing.assert_array_equal(laid.backbone[0, 1, 4, 1], database[10].coordinates[7, 1])


def save(network, path, config):
    card = {"family": "mini", "name": "w", "licence": "Apache-2.0", "config": config.model_dump()}
    return hub_weights.save(path, network.state_dict(), card=card)


def test_training_goes_on_from_weights_that_know_no_templates(tmp_path):
    without = MiniConfig(**RECIPE["model"])
    card = save(Mini(without), tmp_path / "w.safetensors", without)
    network = Mini(MiniConfig(**RECIPE["model"], template_channels=8))
    said = start_from(network, tmp_path / "w.safetensors", family="mini")
    assert said["sha256"] == card.sha256
    assert said["started_anew"]
    assert all(name.startswith(("templates.", "structure.")) for name in said["started_anew"])
    wider = Mini(MiniConfig(**{**RECIPE["model"], "single_channels": 32}))
    with pytest.raises(WeightsError, match="in the recipe"):
        start_from(wider, tmp_path / "w.safetensors", family="mini")
    fewer = Mini(MiniConfig(**{**RECIPE["model"], "structure_start": "origin"}))
    with pytest.raises(WeightsError, match="has no structure"):
        start_from(fewer, tmp_path / "w.safetensors", family="mini")
