import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.chains import make_chain

from itda.chem.residues import RESTYPES
from itda.confidence.validity import check_validity
from itda.errors import CapabilityError, InputError, WeightsError
from itda.features import Features, ProfileFeatures, TemplateFeatures, TokenFeatures
from itda.hub import weights as hub_weights
from itda.job.model import Job
from itda.models.family import Order, predict, predict_all
from itda.models.mini import FAMILY
from itda.models.mini.config import MiniConfig
from itda.models.mini.modeling import Mini
from itda.search.alignments.formats import parse_alignment
from itda.search.evidence import ChainEvidence, Evidence
from itda.search.templates.template import Template
from itda.structure.lddt import lddt

SEQUENCE = "MQIFVKTLTGKTITLEVEPSDTIENVXWHCYP"
SMALL = {
    "single_channels": 16,
    "pair_channels": 8,
    "blocks": 2,
    "single_heads": 2,
    "stem_kernel": 5,
    "structure_channels": 16,
    "structure_heads": 2,
    "structure_steps": 2,
    "structure_start": "torsions",
    "template_channels": 6,
    "recycles": 1,
    "confidence_channels": 8,
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    network = Mini(MiniConfig(**SMALL))
    for parameter in network.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.05)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    card = {"family": "mini", "name": "small", "licence": "Apache-2.0", "config": SMALL}
    hub_weights.save(path, network.state_dict(), card=card)
    return path


@pytest.fixture(scope="module")
def model(weights):
    return FAMILY.load(weights, "cpu")


def job(sequence=SEQUENCE, **protein):
    return Job.from_dict(
        {
            "version": 1,
            "name": "one",
            "entities": [{"protein": {"id": "Q", "sequence": sequence, **protein}}],
        }
    )


def features(sequence, profile=None):
    given = (
        ProfileFeatures.absent(1, len(sequence))
        if profile is None
        else ProfileFeatures.from_array(profile)
    )
    return Features(
        TokenFeatures.from_sequence(sequence), given, TemplateFeatures.absent(1, len(sequence))
    )


def test_prediction_keeps_names_numbers_and_order(model):
    (prediction,) = predict(model, job(numbering=41))
    atoms = prediction.atoms
    assert set(atoms.chain_id) == {"Q"}
    assert sorted(set(atoms.res_id.tolist())) == list(range(41, 41 + len(SEQUENCE)))
    assert atoms.res_name[atoms.res_id == 41][0] == "MET"
    assert atoms.res_name[atoms.res_id == 41 + SEQUENCE.index("X")][0] == "UNK"
    assert prediction.plddt.shape == (len(SEQUENCE),)
    assert prediction.pae.shape == (len(SEQUENCE), len(SEQUENCE))
    first = atoms.b_factor[atoms.res_id == 41]
    np.testing.assert_allclose(first, prediction.plddt[0])
    assert prediction.provenance.weights_digest == model.weights_digest


def test_same_input_same_output_and_samples_differ(model):
    first, second = predict(model, job().replace(samples=2), seed=3)
    again, other = predict(model, job().replace(samples=2), seed=3)
    np.testing.assert_array_equal(first.atoms.coord, again.atoms.coord)
    np.testing.assert_array_equal(second.atoms.coord, other.atoms.coord)
    assert np.abs(first.atoms.coord - second.atoms.coord).max() > 1e-3
    (reseeded,) = predict(model, job(), seed=4)
    np.testing.assert_array_equal(first.atoms.coord, reseeded.atoms.coord)


@pytest.mark.parametrize("recycles", [0, 2])
def test_each_sample_has_a_ptm_and_pae_of_its_own(model, recycles):
    order = Order(job=job(), seed=3, evidence=Evidence(), samples=(0, 1, 2, 3))
    ((answer, *others),) = predict_all(model, [order], recycles=recycles)
    assert len({one.ptm for one in (answer, *others)}) == 4
    ((alone,),) = predict_all(model, [replace(order, samples=(0,))], recycles=recycles)
    assert alone.ptm == answer.ptm
    for one in others:
        assert 0 < one.ptm < 1 and np.abs(one.pae - answer.pae).max() > 1e-3
        # A residue is where it is in its own frame, whatever has moved.
        if recycles == 0:
            np.testing.assert_allclose(np.diag(one.pae), np.diag(answer.pae), atol=1e-3)
            assert one.pae.mean() > answer.pae.mean()


def aligned(*rows, sequence=SEQUENCE):
    text = "".join(f">row{number}\n{row}\n" for number, row in enumerate((sequence, *rows)))
    return Evidence({"Q": ChainEvidence(parse_alignment(text, query=sequence, where="test"))})


def test_an_alignment_is_used_and_beside_a_profile_refused(model, tmp_path):
    (plain,) = predict(model, job())
    (with_row,) = predict(model, job(), evidence=aligned(SEQUENCE.replace("K", "R")))
    assert np.abs(plain.plddt - with_row.plddt).max() > 0
    (alone,) = predict(model, job(), evidence=aligned())
    np.testing.assert_array_equal(alone.plddt, plain.plddt, err_msg="a query alone says nothing")
    table = tmp_path / "q.tsv"
    table.write_text("\t".join(RESTYPES) + "\n" + ("\t".join(["0.05"] * 20) + "\n") * len(SEQUENCE))
    with pytest.raises(InputError, match="both an alignment and a profile"):
        predict(model, job(profile=str(table)), evidence=aligned(SEQUENCE))


def of_templates(*templates: Template) -> Evidence:
    return Evidence({"Q": ChainEvidence(templates=templates)})


def template_of_itself(shift=0.0):
    chain = make_chain("t", len(SEQUENCE), 1)
    index = np.arange(len(SEQUENCE), dtype=np.int32)
    return Template(
        name="t_A",
        sequence=chain.sequence,
        coordinates=chain.coordinates + np.float32(shift),
        atom_mask=chain.atom_mask,
        query_index=index,
        template_index=index,
        identity=0.5,
    )


def test_a_template_is_followed_wherever_it_lies(model):
    def ca(prediction):
        return prediction.atoms.coord[prediction.atoms.atom_name == "CA"]

    template = template_of_itself()
    (plain,) = predict(model, job())
    (after,) = predict(model, job(), evidence=of_templates(template))
    (far,) = predict(model, job(), evidence=of_templates(template_of_itself(300)))
    true = template.coordinates[:, 1]
    assert lddt(ca(after), true).score > lddt(ca(plain), true).score + 0.1
    assert lddt(ca(far), ca(after)).score > 0.97


def test_padding_with_empty_templates_changes_nothing(model):
    bare = features(SEQUENCE)
    empty = TemplateFeatures(
        torch.full((1, 2, len(SEQUENCE)), 20),
        torch.zeros(1, 2, len(SEQUENCE), 3, 3),
        torch.zeros(1, 2, len(SEQUENCE), dtype=torch.bool),
        torch.zeros(1, 2),
    )
    with torch.no_grad():
        alone = model.network(bare)
        padded = model.network(replace(bare, templates=empty))
    torch.testing.assert_close(alone.atoms, padded.atoms, atol=1e-4, rtol=0)
    torch.testing.assert_close(alone.lddt_logits, padded.lddt_logits, atol=1e-4, rtol=0)


def test_weights_without_templates_say_so(tmp_path):
    config = MiniConfig(**{**SMALL, "template_channels": 0})
    card = {"family": "mini", "name": "old", "licence": "Apache-2.0", "config": config.model_dump()}
    hub_weights.save(tmp_path / "w.safetensors", Mini(config).state_dict(), card=card)
    old = FAMILY.load(tmp_path / "w.safetensors", "cpu")
    with pytest.raises(CapabilityError, match="weights old know no templates"):
        predict(old, job(), evidence=of_templates(template_of_itself()))


def test_one_chain_in_a_padded_batch_is_the_chain_alone(model):
    network = model.network
    long, short = features("ACDEFGHIKLMNPQRSTVWY"), features("MKTAYIAKQR")
    with torch.no_grad():
        together, alone = (
            network(Features.stack([long, short]), recycles=1),
            network(short, recycles=1),
        )
    torch.testing.assert_close(together.atoms[1, :10], alone.atoms[0], atol=2e-3, rtol=1e-3)
    torch.testing.assert_close(
        together.pae_logits[1, :10, :10], alone.pae_logits[0], atol=1e-3, rtol=1e-3
    )


def test_an_absent_profile_is_not_a_profile_of_zeros(model):
    with torch.no_grad():
        absent = model.network(features(SEQUENCE)).lddt_logits
        zeros = model.network(features(SEQUENCE, np.zeros((len(SEQUENCE), 20), np.float32)))
    assert (absent - zeros.lddt_logits).abs().max() > 0


def test_every_parameter_reaches_the_output(model):
    network = Mini(MiniConfig(**SMALL)).train()
    for parameter in network.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.05)
    given = replace(
        features(SEQUENCE, np.full((len(SEQUENCE), 20), 0.05, np.float32)),
        templates=TemplateFeatures.from_templates([template_of_itself()], tokens=len(SEQUENCE)),
    )
    output = network(given, recycles=1)
    heads = (
        *(output.atoms, output.lddt_logits, output.pae_logits, output.distogram_logits),
        *(output.profile_logits, output.dssp_logits, output.structure.backbone_torsions),
    )
    sum(head.square().sum() for head in heads).backward()
    # The relative embedding of recycled distances and positions uses the rows that occur.
    without = [name for name, p in network.named_parameters() if p.grad is None]
    assert without == []


@pytest.mark.parametrize(
    ("entities", "said"),
    [
        ([{"dna": {"sequence": "ACGT" * 5}}], "dna"),
        ([{"rna": {"sequence": "ACGU" * 5}}], "rna"),
        ([{"protein": {"sequence": "A" * 20}}, {"ligand": {"ccd": ["ATP"]}}], "ligand"),
        ([{"protein": {"sequence": "A" * 20}}, {"ion": {"ccd": "MG"}}], "ion"),
        ([{"protein": {"id": ["A", "B"], "sequence": "A" * 20}}], "one chain"),
        ([{"protein": {"sequence": "A"}}], "10 residues or more"),
        ([{"protein": {"sequence": "A" * 5000}}], "1024"),
        (
            [
                {
                    "protein": {
                        "sequence": "A" * 20,
                        "modifications": [{"position_1based": 3, "ccd": "SEP"}],
                    }
                }
            ],
            "SEP",
        ),
    ],
)
def test_what_mini_cannot_fold_is_refused_by_name(entities, said):
    asked = Job.from_dict({"version": 1, "name": "big one", "entities": entities})
    with pytest.raises(CapabilityError, match=said) as caught:
        FAMILY.check(asked)
    assert "big one" in str(caught.value)
    assert caught.value.hint


def test_altered_truncated_or_foreign_weights_are_refused(weights, tmp_path):
    card = weights.with_suffix(".json")
    content, whole_card = weights.read_bytes(), card.read_text()

    def copy(name, data, card_text=whole_card):
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(data)
        path.with_suffix(".json").write_text(card_text)
        return path

    altered = bytearray(content)
    altered[-5] ^= 1
    for name, data in (("altered", bytes(altered)), ("cut", content[:-100]), ("empty", b"")):
        with pytest.raises(WeightsError, match="truncated or altered"):
            FAMILY.load(copy(name, data), "cpu")
    with pytest.raises(WeightsError, match="is missing"):
        FAMILY.load(tmp_path / "nowhere.safetensors", "cpu")
    foreign = json.dumps({**json.loads(card.read_text()), "family": "other"})
    with pytest.raises(WeightsError, match="family other"):
        FAMILY.load(copy("foreign", content, foreign), "cpu")
    wider = json.loads(card.read_text())
    wider["config"]["single_channels"] = 32
    with pytest.raises(WeightsError, match="do not fit"):
        FAMILY.load(copy("wider", content, json.dumps(wider)), "cpu")


@pytest.mark.parametrize(
    "sequence",
    ["MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQ", "GPPGPSWTNAYCHMRLLKEEIDPPVFGQCK"],
)
def test_shipped_weights_give_ideal_bonds_and_l_residues(sequence):
    (prediction,) = predict(FAMILY.load(None, "cpu"), job(sequence))
    report = check_validity(prediction.atoms).to_dict()
    assert report["bonds"]["within_tolerance"] >= 0.99
    assert not report["d_residues"]
    assert not report["wrong_side_chain_chirality"]
    assert report["clashes"] is not None


def orders(*sequences, seed=3, samples=2):
    return [
        Order(
            job=job(sequence), seed=seed + place, evidence=Evidence(), samples=tuple(range(samples))
        )
        for place, sequence in enumerate(sequences)
    ]


def test_a_result_does_not_depend_on_its_batch(model):
    asked = orders("MKTAYIAKQRQISFVK", SEQUENCE, "ACDEFGHIKLMNPQRSTVWYPGA", "MKTAYIAKQR")
    asked[1] = replace(asked[1], evidence=of_templates(template_of_itself()))
    together = predict_all(model, asked)
    backwards = predict_all(model, asked[::-1])[::-1]
    for order, found, again in zip(asked, together, backwards, strict=True):
        (alone,) = predict_all(model, [order])
        assert len(alone) == len(order.samples)
        for first, second, third in zip(alone, found, again, strict=True):
            for other in (second, third):
                np.testing.assert_array_equal(first.atoms.coord, other.atoms.coord)
                np.testing.assert_array_equal(first.pae, other.pae)
                np.testing.assert_array_equal(first.plddt, other.plddt)
                assert first.ptm == other.ptm


@pytest.mark.parametrize("cells", [1, 2 * len(SEQUENCE) ** 2, 2**23])
def test_a_sample_does_not_depend_on_which_others_are_asked_for(model, monkeypatch, cells):
    """One by one, in portions or all at once, and whichever are there already."""
    monkeypatch.setattr("itda.models.mini.predict.CELLS_AT_ONCE", cells)
    order = Order(job=job(), seed=3, evidence=Evidence(), samples=(0, 1, 2, 3, 4))
    short = Order(job=Job.from_sequence("short", "MKTAYIAKQR"), seed=3, evidence=Evidence())
    (all_of_them, _) = predict_all(model, [order, short])
    ((third, last),) = predict_all(model, [replace(order, samples=(2, 4))])
    for one, other in ((all_of_them[2], third), (all_of_them[4], last)):
        np.testing.assert_array_equal(one.atoms.coord, other.atoms.coord)
        np.testing.assert_array_equal(one.pae, other.pae)
        assert one.ptm == other.ptm and one.sample == other.sample


def test_large_samples_come_one_by_one(model, monkeypatch):
    monkeypatch.setattr("itda.models.mini.predict.CELLS_AT_ONCE", 1)
    order = Order(job=job(), seed=3, evidence=Evidence(), samples=(0, 1, 5))
    portions = model.begin([order], recycles=None, progress=None)
    assert [portion.places for portion in portions] == [((0, 0),), ((0, 1),), ((0, 5),)]


def test_a_padded_batch_gives_the_samples_of_each_chain_alone(model):
    """As they go through a GPU."""
    several = [features(sequence) for sequence in ("MKTAYIAKQR", SEQUENCE, "ACDEFGHIKLMNPQR")]
    seeds, samples = [3, 4, 5], [(0, 1), (0,), (0, 2, 3)]
    together = model.run(several, seeds=seeds, samples=samples)
    assert [len(chain) for chain in together] == [2, 1, 3]
    for one, seed, count, beside in zip(several, seeds, samples, together, strict=True):
        (alone,) = model.run([one], seeds=[seed], samples=[count])
        for first, second in zip(alone, beside, strict=True):
            np.testing.assert_allclose(first.chain.translation, second.chain.translation, atol=2e-3)
            np.testing.assert_allclose(first.pae, second.pae, atol=2e-3)
            assert first.ptm == pytest.approx(second.ptm, abs=1e-4)
    (reseeded,) = model.run([several[0]], seeds=[9], samples=[(0, 1)])
    drawn = together[0][1].chain.translation
    assert np.abs(reseeded[1].chain.translation - drawn).max() > 1e-3


def test_the_answer_of_a_set_is_the_same_whatever_its_number(model):
    """A fold after one set of templates is that of a job with no other set, and not drawn."""
    with_template, bare = of_templates(template_of_itself()), Evidence()
    order = Order(job=job(), seed=3, evidence=bare)
    sets = [
        replace(order, evidence=with_template, samples=(0, 3)),
        replace(order, samples=(1,), answer=1),
        replace(order, evidence=of_templates(template_of_itself(40)), samples=(2,), answer=2),
    ]
    (first, drawn), (second,), (third,) = predict_all(model, sets)
    assert [one.sample for one in (first, second, third, drawn)] == [0, 1, 2, 3]
    (alone,) = predict(model, job(), evidence=bare, seed=3)
    np.testing.assert_array_equal(second.atoms.coord, alone.atoms.coord)
    np.testing.assert_array_equal(second.pae, alone.pae)
    assert second.ptm == alone.ptm
    ((_, again),) = predict_all(model, [replace(sets[0], samples=(0, 3))])
    np.testing.assert_array_equal(drawn.atoms.coord, again.atoms.coord)
    assert np.abs(first.atoms.coord - drawn.atoms.coord).max() > 1e-3
    assert np.abs(first.plddt - second.plddt).max() > 0


@pytest.mark.parametrize("cells", [1, len(SEQUENCE) ** 2, 2**23])
def test_sets_do_not_depend_on_how_they_are_portioned(model, monkeypatch, cells):
    order = Order(job=job(), seed=3, evidence=of_templates(template_of_itself()), samples=(0, 2))
    sets = [order, replace(order, evidence=Evidence(), samples=(1,), answer=1)]
    whole = predict_all(model, sets)
    monkeypatch.setattr("itda.models.mini.predict.CELLS_AT_ONCE", cells)
    for found, again in zip(whole, predict_all(model, sets), strict=True):
        for one, other in zip(found, again, strict=True):
            assert one.sample == other.sample
            np.testing.assert_array_equal(one.atoms.coord, other.atoms.coord)
            assert one.ptm == other.ptm
