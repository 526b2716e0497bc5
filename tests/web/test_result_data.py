"""What the view of a result says and sends: words, numbers, and only to who may read the job."""

from __future__ import annotations

import dataclasses
import hashlib
import html
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from itda.server.pages import statics
from itda.server.pages.result import result_context
from itda.server.pages.result_files import PAE_STEP_ANGSTROM, pae_map, squares_of
from itda.server.pages.result_reading import (
    best_pairs,
    pairs_of,
    read_pair,
    validity_sentences,
    validity_summary,
)
from itda.server.queue.records import State
from tests.patience import PATIENCE_SECONDS

from .result_harness import COUNT, Folders, make_app, prediction, write

ROUTES = ("data.json", "pae.bin", "structure.cif", "residues.csv")
ROOT = Path(__file__).parents[2]
VENDOR = statics.FOLDER / "vendor"


@pytest.fixture(scope="module")
def samples():
    return [prediction(("A", "B"), seed=seed, apart=3.0 * seed, loss=seed) for seed in (1, 2, 3)]


@pytest.fixture(scope="module")
def services(tmp_path_factory, samples) -> Folders:
    folder = tmp_path_factory.mktemp("results")
    return Folders(
        {
            "complex": write(folder / "complex", "complex", samples),
            "nopae": write(folder / "nopae", "nopae", [prediction(pae=False)]),
        },
        {"msa": "auto", "databases": ["a database 2026-01"], "templates": None},
    )


@pytest.fixture(scope="module")
def client(services) -> TestClient:
    return TestClient(make_app(services))


def test_each_sample_has_its_own_numbers(client, samples) -> None:
    for rank, sample in enumerate(samples):
        told = client.get(f"/jobs/complex/result/data.json?sample={rank}").json()
        assert told["plddt"] == pytest.approx(sample.plddt.tolist(), abs=0.01)
        assert told["chain_ids"] == ["A"] * COUNT + ["B"] * COUNT
        assert told["numbers"][COUNT : COUNT + 3] == [1, 2, 3]
        shape = told["pae"]
        assert (shape["side"], shape["factor"]) == (2 * COUNT, 1)
        content = client.get(f"/jobs/complex/result/pae.bin?sample={rank}").content
        errors = np.frombuffer(content, np.uint8).reshape(2 * COUNT, -1) * shape["step"]
        assert errors == pytest.approx(sample.pae, abs=0.08)
    assert client.get("/jobs/nopae/result/data.json").json()["pae"] is None


def test_structures_are_those_of_the_files(client, services) -> None:
    for rank in range(3):
        answer = client.get(f"/jobs/complex/result/structure.cif?sample={rank}")
        [record] = [one for one in services.files("complex") if one.kind == f"sample_{rank}"]
        assert hashlib.sha256(answer.content).hexdigest() == record.digest


@pytest.mark.parametrize("route", ROUTES)
def test_what_is_not_there_is_not_found(client, route) -> None:
    assert client.get(f"/jobs/complex/result/{route}?sample=2").status_code == 200
    assert client.get(f"/jobs/complex/result/{route}?sample=3").status_code == 404
    assert client.get(f"/jobs/complex/result/{route}?sample=-1").status_code == 422
    assert client.get(f"/jobs/secret/result/{route}").status_code == 404
    if route == "pae.bin":
        assert client.get(f"/jobs/nopae/result/{route}").status_code == 404


@pytest.mark.parametrize("route", ["data.json", "pae.bin", "structure.cif"])
def test_what_a_browser_has_is_not_sent_again(client, route) -> None:
    first = client.get(f"/jobs/complex/result/{route}?sample=1")
    again = {"If-None-Match": first.headers["etag"]}
    assert client.get(f"/jobs/complex/result/{route}?sample=1", headers=again).status_code == 304
    assert client.get(f"/jobs/complex/result/{route}?sample=2", headers=again).status_code == 200


def test_values_as_csv(client, samples) -> None:
    lines = client.get("/jobs/complex/result/residues.csv?sample=1").text.splitlines()
    assert lines[0] == "chain,number,insertion_code,residue,plddt,mean_pae_angstrom"
    mean = samples[1].pae.astype(np.float16).mean(axis=0, dtype=float)
    assert lines[COUNT + 1].startswith(f"B,1,,MET,{samples[1].plddt[COUNT]:.2f},{mean[COUNT]:.2f}")
    assert len(lines) == 2 * COUNT + 1


@pytest.mark.parametrize("residues", [1, 1499, 1500, 1501, 3000, 4097])
def test_a_map_is_never_too_large(residues) -> None:
    side, factor = squares_of(residues)
    assert side <= 1500
    assert (side - 1) * factor < residues <= side * factor


def test_a_coarse_map_has_means_and_maxima() -> None:
    errors = np.random.default_rng(5).uniform(0, 40, (11, 11)).astype(np.float32)
    coarse = pae_map(errors, most=4)
    assert (coarse.side, coarse.factor) == (4, 3)
    means = np.frombuffer(coarse.means, np.uint8).reshape(4, 4)
    maxima = np.frombuffer(coarse.maxima, np.uint8).reshape(4, 4)
    for row in range(4):
        for column in range(4):
            square = errors[3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
            half = PAE_STEP_ANGSTROM / 2 + 1e-4
            assert means[row, column] * PAE_STEP_ANGSTROM == pytest.approx(square.mean(), abs=half)
            largest = min(float(square.max()), 31.875)
            assert maxima[row, column] * PAE_STEP_ANGSTROM == pytest.approx(largest, abs=half)
    assert coarse.content == coarse.means + coarse.maxima
    assert pae_map(errors).maxima is None


@pytest.mark.parametrize(
    ("forth", "back", "iptm", "state", "words"),
    [
        (1.0, 4.9, None, "good", "high confidence"),
        (1.0, 5.0, None, "fair", "some confidence"),
        (9.9, 1.0, None, "fair", "some confidence"),
        (1.0, 10.0, None, "poor", "not known"),
        (None, None, None, "unknown", "nothing is predicted"),
        (20.0, 20.0, 0.8, "good", "high confidence"),
        (1.0, 1.0, 0.79, "fair", "right or wrong"),
        (1.0, 1.0, 0.59, "poor", "likely wrong"),
    ],
)
def test_what_numbers_between_chains_mean(forth, back, iptm, state, words) -> None:
    sentence = read_pair("A", "B", forth, back, iptm)
    assert sentence.state == state
    told = sentence.text.format(**sentence.values)
    assert told.startswith("A and B:") and words in told


def test_each_pair_of_chains_is_told_once() -> None:
    entries = [
        {"aligned_on": one, "scored": other, "mean_pae_angstrom": ord(one) - 64 + 0.5}
        for one in "ABC"
        for other in "ABC"
        if one != other
    ]
    pairs = pairs_of(entries)
    assert [(pair.first, pair.second) for pair in pairs] == [("A", "B"), ("A", "C"), ("B", "C")]
    assert (pairs[0].forth, pairs[0].back) == (1.5, 2.5)
    assert pairs_of(None) == []
    assert best_pairs(pairs, 3) == pairs
    # The errors of A – B are the smallest.
    assert best_pairs(pairs[::-1], 1) == [pairs[0]]


def test_faults_of_geometry_are_named(samples) -> None:
    good = dict(samples[0].validity)
    assert validity_summary(good).state == "good"
    assert validity_summary(None).text == "not checked"
    names = [f"A:{number} ALA" for number in range(1, 8)]
    bad = {**good, "d_residues": names, "clash_count": 90, "clash_score": 40.0}
    told = {one.text: one for one in validity_sentences(bad) if one.state == "poor"}
    assert len(told) == 2 and validity_summary(bad).values == {"count": 2}
    hands = told["Handedness: wrong at {count}: {names}"]
    assert hands.values["count"] == "7"
    assert hands.values["names"].endswith("A:5 ALA, …")


def test_provenance_has_weights_seeds_databases_and_licence(services) -> None:
    result = result_context(services, services.job("complex"))["result"]
    rows = {row["label"]: row["lines"] for row in result["provenance"]}
    assert rows["Seeds"] == ["1, 2, 3"]
    assert rows["Databases"] == ["a database 2026-01"]
    assert rows["Licence of the weights"] == ["Apache-2.0"]
    assert rows["Digest of the weights"] == ["sha256:" + "ab" * 32]
    assert "Templates" not in rows
    addresses = {one["kind"]: one["address"] for one in result["downloads"]}
    assert addresses["pae"] == "/api/v1/jobs/complex/files/pae"
    assert addresses["archive"] == "/api/v1/jobs/complex/archive"


def test_there_is_no_view_before_the_job_is_done(services) -> None:
    job = dataclasses.replace(services.job("complex"), state=State.RUNNING)
    assert result_context(services, job) == {"result": None}


def test_a_result_that_cannot_be_read_is_told(tmp_path, samples) -> None:
    folder = write(tmp_path / "spoilt", "spoilt", samples[:1])
    (folder / "spoilt.confidence.json").write_text("{")
    client = TestClient(make_app(Folders({"spoilt": folder})))
    page = client.get("/jobs/spoilt")
    assert page.status_code == 200 and "cannot be shown" in page.text
    assert client.get("/jobs/spoilt/result/data.json").status_code == 404


def test_verdict_of_the_record_in_the_words_of_a_page(tmp_path, samples) -> None:
    folder = write(tmp_path / "one", "one", samples[:1])
    client = TestClient(make_app(Folders({"one": folder})))
    told = json.loads((folder / "one.confidence.json").read_bytes())["verdict"]
    page = client.get("/jobs/one", headers={"Accept-Language": "en"}).text
    assert html.escape(told["sentences"][0]["text"], quote=False) in html.unescape(page)
    assert "side chains are usually right too" not in page.lower()
    assert "근거: 서열뿐입니다." in client.get("/jobs/one", headers={"Accept-Language": "ko"}).text


def test_result_of_before_there_were_verdicts_is_shown(tmp_path, samples) -> None:
    folder = write(tmp_path / "one", "one", samples[:1])
    path = folder / "one.confidence.json"
    confidence = json.loads(path.read_bytes())
    del confidence["verdict"]
    path.write_text(json.dumps(confidence))
    page = TestClient(make_app(Folders({"one": folder}))).get("/jobs/one")
    assert page.status_code == 200
    assert 'data-part="verdict"' not in page.text and "cannot be shown" not in page.text


def test_names_in_files_are_text(tmp_path, samples) -> None:
    folder = write(tmp_path / "hostile", "hostile", samples[:1])
    path = folder / "hostile.confidence.json"
    told = json.loads(path.read_text())
    evil = "<img src=x onerror='alert(1)'>{0.__class__}%(x)s"
    told["chain_pairs"] = told["ranking"][0]["chain_pairs"] = [
        {"aligned_on": evil, "scored": "B", "mean_pae_angstrom": 1.0}
    ]
    told["provenance"]["family"] = told["provenance"]["citations"][0] = evil
    told["ranking"][0]["validity"]["d_residues"] = [evil]
    path.write_text(json.dumps(told))
    page = TestClient(make_app(Folders({"hostile": folder}))).get("/jobs/hostile")
    assert page.status_code == 200
    assert "<img" not in page.text and "onerror=&#39;alert" in page.text


def test_vendored_files_are_those_of_the_manifest() -> None:
    manifest = json.loads((VENDOR / "manifest.json").read_text())
    for name, entry in manifest["files"].items():
        path = VENDOR / name
        if entry["committed"] or path.is_file():
            assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"], name
    assert {"htmx.min.js", "molstar.js", "molstar-LICENSE.txt"} <= set(manifest["files"])


def test_the_lock_names_no_registry_but_the_public_one() -> None:
    locked = json.loads((ROOT / "web" / "package-lock.json").read_text())["packages"]
    for name, entry in locked.items():
        assert entry.get("resolved", "https://registry.npmjs.org/").startswith(
            "https://registry.npmjs.org/"
        ), name
        assert not name or entry["integrity"].startswith("sha512-")
    assert "ignore-scripts=true" in (ROOT / "web" / ".npmrc").read_text()


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_scripts_in_node() -> None:
    done = subprocess.run(
        ["node", "--test", "test/"],
        cwd=ROOT / "web",
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_templates_are_told_with_their_sources(services, tmp_path) -> None:
    followed = {
        "chain_ids": ["A", "B"], "origin": "given", "source": "<b>my</b>.cif", "entry": "<b>my</b>",
        "chain": "H2", "identity": 0.504, "coverage": 0.25, "pairs": 19, "e_value": None,
        "release_date": None, "year": None,
    }  # fmt: skip
    found = {**followed, "origin": "searched", "source": "pdb", "entry": "1abc", "e_value": 3.2e-9}
    folder = write(tmp_path / "one", "one", [prediction()])
    path = folder / "one.confidence.json"
    confidence = json.loads(path.read_text())
    assert confidence["templates"] == []
    path.write_text(json.dumps({**confidence, "templates": [followed, {**found, "year": 1999}]}))
    client = TestClient(make_app(Folders({"one": folder})))
    page = client.get("/jobs/one").text
    assert "given by the user: &lt;b&gt;my&lt;/b&gt;.cif" in page and "found in pdb" in page
    assert "50 %" in page and "25 %" in page and "3.2e-09" in page and ">1999<" in page
    korean = client.get("/jobs/one", headers={"Accept-Language": "ko"}).text
    assert "직접 준 것: &lt;b&gt;my&lt;/b&gt;.cif" in korean and "pdb에서 찾음" in korean
    # A result of an earlier version does not say.
    del confidence["templates"]
    path.write_text(json.dumps(confidence))
    plain = TestClient(make_app(Folders({"one": folder}))).get("/jobs/one").text
    assert "templates-title" not in plain
