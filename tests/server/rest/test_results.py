"""Files of jobs: whole, in parts, by their `ETag`, as JSON, as an archive."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile

import numpy as np
import pytest

from .test_jobs import refused, submit

CIF = b"data_x\n_entry.id x\n" * 50
BEST = b"data_best\n"


def pae_file(samples=0) -> bytes:
    arrays = {
        "pae": np.array([[0.25, 7.123], [6.5, 0.5]], dtype=np.float16),
        "chain_id": np.array(["A", "A"]),
        "number": np.array([1, 2]),
        "insertion_code": np.array(["", ""]),
        "name": np.array(["MET", "GLN"]),
        "atom_name": np.array(["", ""]),
    }
    if samples:
        arrays["pae_samples"] = np.stack([arrays["pae"] * (n + 1) for n in range(samples)])
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


FILES = {
    "structure": ('우비퀴틴 "x".cif', CIF),
    "sample_0": ("x_sample_0.cif", CIF),
    "sample_1": ("x_sample_1.cif", BEST),
    "confidence": ("x.confidence.json", json.dumps({"mean_plddt": 80.0}).encode()),
    "pae": ("x.pae.npz", pae_file(2)),
    "report": ("x.html", b"<script>alert(1)</script>"),
}


@pytest.fixture
def job(owner, house) -> str:
    key = submit(owner)[0]["id"]
    house.finish(FILES)
    return f"/api/v1/jobs/{key}"


def test_files_are_listed_with_their_digests(owner, job):
    listed = {one["kind"]: one for one in owner.get(f"{job}/files").json()["files"]}
    assert set(listed) == set(FILES)
    for kind, (name, content) in FILES.items():
        one = listed[kind]
        assert (one["name"], one["bytes"]) == (name, len(content))
        assert one["sha256"] == hashlib.sha256(content).hexdigest()
        assert owner.get(one["url"]).content == content


def test_a_file_is_not_sent_again(owner, job):
    first = owner.get(f"{job}/files/structure")
    etag = first.headers["etag"]
    assert etag == f'"{hashlib.sha256(CIF).hexdigest()}"'
    for told in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        again = owner.get(f"{job}/files/structure", headers={"If-None-Match": told})
        assert (again.status_code, again.content) == (304, b"")
    assert (
        owner.get(f"{job}/files/structure", headers={"If-None-Match": '"other"'}).status_code == 200
    )


def test_parts_of_a_file(owner, job):
    part = owner.get(f"{job}/files/structure", headers={"Range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, CIF[5:10])
    assert part.headers["content-range"] == f"bytes 5-9/{len(CIF)}"
    tail = owner.get(f"{job}/files/structure", headers={"Range": "bytes=-4"})
    assert tail.content == CIF[-4:]
    beyond = owner.get(f"{job}/files/structure", headers={"Range": "bytes=99999-"})
    assert beyond.status_code == 416
    whole = owner.get(
        f"{job}/files/structure", headers={"Range": "bytes=0-1", "If-Range": '"other"'}
    )
    assert (whole.status_code, whole.content) == (200, CIF)


def test_names_are_offered_safely(owner, job):
    header = owner.get(f"{job}/files/structure").headers["content-disposition"]
    assert header.startswith('attachment; filename="')
    assert header.count('"') == 2 and "\n" not in header
    assert "filename*=UTF-8''%EC%9A%B0" in header
    report = owner.get(f"{job}/files/report")
    assert report.headers["content-disposition"].startswith("attachment")
    assert report.headers["x-content-type-options"] == "nosniff"


def test_structures_by_rank(owner, job):
    assert owner.get(f"{job}/structure").content == CIF
    assert owner.get(f"{job}/structure?rank=1").content == BEST
    assert owner.get(f"{job}/structure").headers["content-type"] == "chemical/x-mmcif"
    assert "sample_2" in refused(owner.get(f"{job}/structure?rank=2"), 404)["detail"]
    refused(owner.get(f"{job}/structure?rank=-1"), 422)
    assert owner.get(f"{job}/confidence").json() == {"mean_plddt": 80.0}


def test_one_structure_has_rank_0(owner, house):
    key = submit(owner)[0]["id"]
    house.finish({"structure": ("x.cif", CIF)})
    assert owner.get(f"/api/v1/jobs/{key}/structure?rank=0").content == CIF
    refused(owner.get(f"/api/v1/jobs/{key}/structure?rank=1"), 404)
    assert "it has structure" in refused(owner.get(f"/api/v1/jobs/{key}/pae"), 404)["hint"]


def test_errors_as_a_file_or_as_json(owner, job):
    as_file = owner.get(f"{job}/pae")
    assert as_file.content == FILES["pae"][1]
    assert as_file.headers["vary"] == "Accept"
    as_json = owner.get(f"{job}/pae", headers={"Accept": "application/json"})
    assert as_json.json() == {
        "pae_angstrom": [[0.25, 7.12], [6.5, 0.5]],
        "tokens": {
            "chain_id": ["A", "A"],
            "number": [1, 2],
            "insertion_code": ["", ""],
            "name": ["MET", "GLN"],
            "atom_name": ["", ""],
        },
    }
    headers = {"Accept": "application/json", "If-None-Match": as_json.headers["etag"]}
    assert owner.get(f"{job}/pae", headers=headers).status_code == 304
    second = owner.get(f"{job}/pae?rank=1", headers={"Accept": "application/json"})
    assert second.json()["pae_angstrom"][0][0] == 0.5
    refused(owner.get(f"{job}/pae?rank=2", headers={"Accept": "application/json"}), 404)
    preferred = {"Accept": "application/x-npz, application/json;q=0.5"}
    assert owner.get(f"{job}/pae", headers=preferred).content == FILES["pae"][1]


def test_all_files_as_an_archive(owner, job):
    answer = owner.get(f"{job}/archive")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        held = {name: archive.read(name) for name in archive.namelist()}
    assert held == dict(FILES.values())


def test_there_are_no_files_before_the_end(owner):
    key = submit(owner)[0]["id"]
    assert owner.get(f"/api/v1/jobs/{key}/files").json() == {"files": []}
    for path in ("structure", "confidence", "pae", "archive", "files/structure"):
        problem = refused(owner.get(f"/api/v1/jobs/{key}/{path}"), 404)
        assert problem["hint"] == "it is queued"


@pytest.mark.parametrize("kind", ["..%2F..%2Fetc", "%00", "x" * 300, "%ED%A0%80"])
def test_kinds_are_names(owner, job, kind):
    assert owner.get(f"{job}/files/{kind}").status_code in (400, 404, 422)


def test_a_file_that_is_lost_does_not_tell_where_it_was(owner, house, job):
    digest = hashlib.sha256(CIF).hexdigest()
    house.services.artefacts.path(digest).unlink()
    for path in ("structure", "files/structure", "archive"):
        problem = refused(owner.get(f"{job}/{path}"), 404)
        assert "lost" in problem["detail"] and str(house.services.settings.home) not in str(problem)
