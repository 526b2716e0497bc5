import dataclasses
import json

import biotite.structure.io.pdbx as pdbx
import gemmi
import numpy as np
import pytest

from itda.errors import OutputError
from itda.job.model import Job
from itda.results.files import estimated_bytes, file_names, write_result, written_digest


def test_single_prediction_has_four_files(fold, job, tmp_path) -> None:
    paths = write_result(fold(job), tmp_path)
    assert {kind: path.name for kind, path in paths.items()} == {
        "structure": "helix.cif",
        "confidence": "helix.confidence.json",
        "pae": "helix.pae.npz",
        "report": "helix.html",
    }
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in paths.values()}


def test_structure_opens_elsewhere_with_plddt_as_b_factor(fold, job, tmp_path) -> None:
    result = fold(job)
    path = write_result(result, tmp_path)["structure"]
    atoms = pdbx.get_structure(
        pdbx.CIFFile.read(path), model=1, use_author_fields=True, extra_fields=["b_factor"]
    )
    assert np.allclose(atoms.coord, result.atoms.coord, atol=1e-3)
    alpha = atoms[atoms.atom_name == "CA"]
    assert np.allclose(alpha.b_factor, result.plddt, atol=0.01)
    chain = gemmi.read_structure(str(path))[0]["A"]
    assert gemmi.one_letter_code([residue.name for residue in chain]) == "MKTAYIAKQRQISFVK"


def test_samples_are_written_by_rank(fold, job, tmp_path) -> None:
    result = fold(job, samples=3)
    paths = write_result(result, tmp_path)
    assert paths["structure"].read_bytes() == paths["sample_0"].read_bytes()
    confidence = json.loads(paths["confidence"].read_bytes())
    assert [entry["file"] for entry in confidence["ranking"]] == [
        f"helix_sample_{rank}.cif" for rank in range(3)
    ]
    means = []
    for entry in confidence["ranking"]:
        chain = gemmi.read_structure(str(tmp_path / entry["file"]))[0]["A"]
        alpha = [residue["CA"][0].b_iso for residue in chain]
        assert np.mean(alpha) == pytest.approx(entry["mean_plddt"], abs=0.02)
        means.append(entry["mean_plddt"])
    assert means == sorted(means, reverse=True)


def test_each_sample_is_written_with_its_own_scores(fold, job, tmp_path) -> None:
    result = fold(job, samples=3)
    own = [
        dataclasses.replace(one, ptm=0.3 + 0.1 * rank, pae=one.pae + rank)
        for rank, one in enumerate(result.predictions)
    ]
    paths = write_result(dataclasses.replace(result, predictions=tuple(own)), tmp_path)
    ranking = json.loads(paths["confidence"].read_bytes())["ranking"]
    with np.load(paths["pae"]) as archive:
        means = archive["pae_samples"].astype(float).mean((1, 2))
    for rank, entry in enumerate(ranking):
        assert entry["ptm"] == pytest.approx(own[rank].ptm)
        assert entry["mean_pae_angstrom"] == pytest.approx(own[rank].pae.mean(), abs=0.001)
        assert means[rank] == pytest.approx(own[rank].pae.mean(), abs=0.01)
        block = pdbx.CIFFile.read(tmp_path / entry["file"]).block
        scores = block["ma_qa_metric_global"]["metric_value"].as_array(float)
        assert scores == pytest.approx([own[rank].mean_plddt, own[rank].ptm], abs=0.006)


def test_confidence_holds_what_it_says(fold, job, tmp_path) -> None:
    result = fold(job)
    confidence = json.loads(write_result(result, tmp_path)["confidence"].read_bytes())
    assert (confidence["format"], confidence["version"]) == ("itda-confidence", 2)
    assert np.allclose(confidence["plddt"], result.plddt, atol=0.006)
    assert confidence["mean_plddt"] == pytest.approx(result.mean_plddt, abs=0.006)
    assert confidence["tokens"]["name"][:3] == ["MET", "LYS", "THR"]
    assert confidence["tokens"]["number"] == list(range(1, 17))
    assert set(confidence["tokens"]["chain_id"]) == {"A"}
    assert confidence["provenance"] == result.provenance.to_dict()
    assert confidence["validity"] == result.best.validity
    assert confidence["request_digest"] == result.digest == written_digest(tmp_path, job)


def test_pae_archive_opens_without_pickle(fold, job, tmp_path) -> None:
    result = fold(job, samples=2)
    with np.load(write_result(result, tmp_path)["pae"], allow_pickle=False) as archive:
        assert np.allclose(archive["pae"], result.pae, atol=0.02)
        assert archive["pae"].dtype == np.float16
        assert archive["pae_samples"].shape == (2, 16, 16)
        assert archive["number"].tolist() == list(range(1, 17))


def test_writing_twice_gives_the_same_bytes(fold, job, tmp_path) -> None:
    first = write_result(fold(job, samples=2), tmp_path)
    before = {path: path.read_bytes() for path in first.values()}
    write_result(fold(job, samples=2), tmp_path)
    assert {path: path.read_bytes() for path in first.values()} == before


def test_estimate_is_not_too_small(fold, tmp_path) -> None:
    job = Job.from_sequence("long", "MKTAYIAKQR" * 40)
    result = fold(job, samples=2)
    paths = write_result(result, tmp_path)
    assert sum(path.stat().st_size for path in paths.values()) < estimated_bytes(result.job)


def test_save_makes_the_folder(fold, job, tmp_path) -> None:
    paths = fold(job).save(tmp_path / "a" / "b")
    assert paths["structure"] == tmp_path / "a" / "b" / "helix.cif" and paths["structure"].exists()


def test_save_replaces_itself_and_nothing_else(fold, job, tmp_path) -> None:
    result = fold(job)
    result.save(tmp_path)
    result.save(tmp_path)
    other = fold(job, seed=9)
    with pytest.raises(OutputError, match="another result"):
        other.save(tmp_path)
    assert written_digest(tmp_path, job) == result.digest
    other.save(tmp_path, overwrite=True)
    assert written_digest(tmp_path, job) == other.digest


def test_save_does_not_replace_a_stranger_s_file(fold, job, tmp_path) -> None:
    (tmp_path / "helix.cif").write_text("precious")
    with pytest.raises(OutputError, match=r"helix\.cif"):
        fold(job).save(tmp_path)
    assert (tmp_path / "helix.cif").read_text() == "precious"


def test_names_that_files_cannot_have_are_changed_in_files_only(fold, tmp_path) -> None:
    result = fold(Job.from_sequence("sp|P0|X", "MKTAY"))
    paths = result.save(tmp_path)
    assert paths["structure"].name == "sp_P0_X.cif"
    assert json.loads(paths["confidence"].read_bytes())["name"] == "sp|P0|X"


def test_every_kind_of_file_is_named_once(job) -> None:
    names = file_names(job.replace(seeds=(1, 2), samples=2))
    assert len(set(names.values())) == len(names) == 6 + 4
