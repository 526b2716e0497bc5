"""Two chains, and families that predict no PAE and no pTM: engine, store, files and page."""

import dataclasses
import json
import re

import biotite.structure.io.pdbx as pdbx
import numpy as np
import pytest
from fake_family import FakeFamily, PairFamily, install
from tests.results.test_report import Page, data_of, in_browser, needs_chromium

from itda.cli.progress import scores_shown
from itda.engine.codec import decode_prediction, encode_prediction
from itda.engine.engine import Engine
from itda.engine.events import JobFailed, JobFinished
from itda.job.model import Job
from itda.results.files import confidence_of, write_result
from itda.results.report.page import render_page
from itda.results.result import Result
from itda.store.store import Store

HEAVY, LIGHT = "MKTAYIAKQRQISF", "VKSHFSRQLEERLGLIEV"


@pytest.fixture
def pair() -> Job:
    entities = [{"protein": {"id": i, "sequence": s}} for i, s in (("H", HEAVY), ("L2", LIGHT))]
    return Job.from_dict({"version": 1, "name": "pair", "entities": entities})


def folded(job: Job, family: FakeFamily, store: Store | None = None, **settings: object) -> Result:
    events = Engine(store, "cpu").run([job], family=family, **settings)
    return next(event.result for event in events if isinstance(event, JobFinished))


@pytest.fixture
def with_pae(pair, monkeypatch) -> Result:
    return folded(pair, install(PairFamily(), monkeypatch.setattr), samples=2)


@pytest.fixture
def without_pae(pair, monkeypatch) -> Result:
    return folded(pair, install(PairFamily(pae=False), monkeypatch.setattr), samples=2)


def test_chain_pairs_are_means_in_both_directions(with_pae) -> None:
    pae, border = with_pae.pae, len(HEAVY)
    pairs = {(pair.aligned_on, pair.scored): pair for pair in with_pae.best.chain_pairs()}
    assert set(pairs) == {("H", "L2"), ("L2", "H")}
    upper, lower = pae[:border, border:].mean(), pae[border:, :border].mean()
    assert pairs["H", "L2"].mean_pae_angstrom == pytest.approx(upper)
    assert pairs["L2", "H"].mean_pae_angstrom == pytest.approx(lower)
    assert abs(upper - lower) > 0.01
    written = confidence_of(with_pae)["chain_pairs"]
    assert written[0] == {
        "aligned_on": "H",
        "scored": "L2",
        "mean_pae_angstrom": round(float(upper), 3),
        "iptm": None,
    }


def test_chains_keep_their_names_numbers_and_confidence(with_pae, tmp_path) -> None:
    paths = write_result(with_pae, tmp_path)
    confidence = json.loads(paths["confidence"].read_bytes())
    assert confidence["tokens"]["chain_id"] == ["H"] * len(HEAVY) + ["L2"] * len(LIGHT)
    assert confidence["tokens"]["number"] == [
        *range(1, len(HEAVY) + 1),
        *range(1, len(LIGHT) + 1),
    ]
    first, second = confidence["chains"]
    assert (first["chain_id"], first["residues"]) == ("H", len(HEAVY))
    assert second["mean_plddt"] == pytest.approx(with_pae.plddt[len(HEAVY) :].mean(), abs=0.01)
    file = pdbx.CIFFile.read(paths["structure"])
    atoms = pdbx.get_structure(file, model=1, use_author_fields=True)
    assert list(dict.fromkeys(atoms.chain_id.tolist())) == ["H", "L2"]
    with np.load(paths["pae"]) as archive:
        assert archive["chain_id"].tolist() == confidence["tokens"]["chain_id"]


def test_one_chain_has_no_pairs(fold, job) -> None:
    confidence = confidence_of(fold(job))
    assert confidence["chain_pairs"] == [] and len(confidence["chains"]) == 1


def test_what_is_not_predicted_is_null_and_has_no_file(without_pae, tmp_path) -> None:
    assert without_pae.pae is None and without_pae.ptm is None
    paths = write_result(without_pae, tmp_path)
    assert "pae" not in paths and not list(tmp_path.glob("*.npz"))
    confidence = json.loads(paths["confidence"].read_bytes())
    for scores in (confidence, *confidence["ranking"]):
        assert scores["ptm"] is scores["mean_pae_angstrom"] is scores["chain_pairs"] is None
    assert confidence["mean_plddt"] == pytest.approx(without_pae.mean_plddt, abs=0.01)
    assert len(confidence["chains"]) == 2


def test_an_archive_of_before_does_not_stay_beside_a_result_without(
    pair, with_pae, without_pae, tmp_path
) -> None:
    before = write_result(with_pae, tmp_path)
    assert before["pae"].exists()
    write_result(without_pae, tmp_path)
    assert not before["pae"].exists()


def test_structure_file_names_no_score_that_is_not_there(with_pae, without_pae, tmp_path) -> None:
    def metrics(result: Result) -> list[str]:
        block = pdbx.CIFFile.read(write_result(result, tmp_path)["structure"]).block
        return block["ma_qa_metric"]["name"].as_array().tolist()

    assert metrics(with_pae) == ["mean pLDDT", "pLDDT", "pTM"]
    assert metrics(without_pae) == ["mean pLDDT", "pLDDT"]


def test_store_and_line_and_event_know_the_difference(with_pae, without_pae) -> None:
    for result, pae, ptm in ((with_pae, True, 0.61), (without_pae, False, None)):
        after = [
            decode_prediction(encode_prediction(one), name="pair") for one in result.predictions
        ]
        assert [(one.pae is not None, one.ptm) for one in after] == [(pae, ptm)] * 2
        assert after[0].provenance == result.provenance
        event = JobFinished(job="pair", result=result).to_dict()
        assert event["ptm"] == ptm
        assert ("pTM" in scores_shown(result)) == pae


def test_found_again_in_the_store(pair, store, monkeypatch) -> None:
    family = install(PairFamily(pae=False), monkeypatch.setattr)
    first, again = folded(pair, family, store), folded(pair, family, store)
    assert not first.cached and again.cached and again.pae is None
    assert confidence_of(first) == confidence_of(again)


def test_three_chains_are_refused_before_anything_is_loaded(pair, monkeypatch) -> None:
    family = install(PairFamily(), monkeypatch.setattr)
    entity = {"protein": {"id": ["A", "B", "C"], "sequence": HEAVY}}
    job = Job.from_dict({"version": 1, "name": "three", "entities": [entity]})
    (event,) = Engine(None, "cpu").run([job], family=family)
    assert isinstance(event, JobFailed) and event.refused and not family.models


def test_one_model_serves_all_jobs_of_a_run(pair, monkeypatch) -> None:
    family = install(PairFamily(), monkeypatch.setattr)
    jobs = [pair.replace(name=f"pair{number}", seeds=(number,)) for number in range(3)]
    list(Engine(None, "cpu").run(jobs, family=family))
    assert len(family.models) == 1 and family.folded == ["pair0", "pair1", "pair2"]


def restricted(result: Result) -> Result:
    """The same, made with weights that may not be used commercially."""
    terms = {"weights_set": "lab", "weights_licence": "CC-BY-NC-4.0", "non_commercial": True}
    predictions = tuple(
        dataclasses.replace(one, provenance=dataclasses.replace(one.provenance, **terms))
        for one in result.predictions
    )
    return dataclasses.replace(result, predictions=predictions)


def test_restricted_weights_are_told_of_in_words(without_pae, tmp_path) -> None:
    sentence = "Weights lab are licensed under CC-BY-NC-4.0, which forbids commercial use."
    confidence = confidence_of(restricted(without_pae))
    assert confidence["terms"] == sentence
    assert confidence["provenance"]["non_commercial"] is True
    block = pdbx.CIFFile.read(write_result(restricted(without_pae), tmp_path)["structure"]).block
    assert sentence in block["pdbx_data_usage"]["details"].as_array().tolist()
    free = confidence_of(without_pae)["terms"]
    assert free == "The model weights are licensed under CC0-1.0."


def test_page_says_what_the_family_does_not_predict(with_pae, without_pae) -> None:
    for result, present in ((with_pae, True), (without_pae, False)):
        text = render_page(result, "data_pair\n", confidence_of(result))
        data = data_of(Page(text))
        assert (data["pae"] is not None) == present
        assert "2 chains" in Page(text).text
        assert ("pTM 0.61" in data["summaries"]["en"]) == present
        assert [chain["chain_id"] for chain in data["chains"]] == ["H", "L2"]


SHOWN = """
  const text = (id) => document.getElementById(id).textContent;
  const hidden = (id) => getComputedStyle(document.getElementById(id)).display === "none";
  document.title = JSON.stringify({
    viewer: document.body.dataset.viewer, pae: !hidden("pae-part"), note: hidden("no-pae") ? "" :
    text("no-pae"), chains: hidden("chains-part") ? "" : text("chains"), samples: text("samples"),
    reading: text("reading"), restricted: hidden("restricted") ? "" : text("restricted"),
  });
"""


def shown_of(result: Result, tmp_path) -> dict[str, object]:
    shown, complaints = in_browser(write_result(result, tmp_path)["report"], tmp_path, SHOWN)
    assert complaints == ""
    found = re.search(r"<title>(.*?)</title>", shown)
    assert found is not None
    return json.loads(found[1].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))


@needs_chromium
def test_browser_shows_chains_and_their_pairs(with_pae, tmp_path) -> None:
    shown = shown_of(with_pae, tmp_path)
    assert shown["viewer"] == "shown" and shown["pae"] and shown["note"] == ""
    (one, other) = with_pae.best.chain_pairs()
    assert "PAE → L2" in shown["chains"] and f"{one.mean_pae_angstrom:.1f}" in shown["chains"]
    assert f"{other.mean_pae_angstrom:.1f}" in shown["chains"]
    assert "pTM" in shown["samples"] and "PAE" in shown["reading"] and shown["restricted"] == ""


@needs_chromium
def test_browser_shows_no_pae_where_there_is_none(without_pae, tmp_path) -> None:
    shown = shown_of(restricted(without_pae), tmp_path)
    assert shown["viewer"] == "shown" and not shown["pae"]
    assert "predicts no PAE: nothing here tells how well the chains lie" in shown["note"]
    assert "L2" in shown["chains"] and "PAE" not in shown["chains"]
    assert "pTM" not in shown["samples"] and "PAE" not in shown["reading"]
    assert "forbids commercial use" in shown["restricted"]
