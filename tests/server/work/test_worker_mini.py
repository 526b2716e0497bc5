"""The shipped weights, from the queue to the artefacts, in the process that a server starts."""

from __future__ import annotations

import json

from itda.cluster.processes import Processes
from itda.job.model import Job

from .jobs import Site, at_work, on_sqlite

UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"


@on_sqlite
def test_ubiquitin_is_folded(site: Site, tmp_path, monkeypatch):
    monkeypatch.setenv("ITDA_HOME", str(tmp_path / "user"))
    document = Job.from_sequence("ubiquitin", UBIQUITIN).to_dict()
    (job_id,) = site.submit("ubiquitin", document=document, samples=2, seed=1)
    executor = Processes(1, device="cpu")
    with at_work(site.worker(executor)):
        (job,) = site.wait([job_id])
    assert job.summary["residues"] == 76
    assert 0 < job.summary["mean_plddt"] <= 100
    files = {file.kind: site.artefacts.path(file.digest) for file in site.queue.files(job_id)}
    assert files["structure"].read_text().startswith("data_ubiquitin")
    confidence = json.loads(files["confidence"].read_text())
    assert len(confidence["ranking"]) == 2
    assert (
        confidence["mean_plddt"] == job.summary["mean_plddt"]
        or abs(confidence["mean_plddt"] - job.summary["mean_plddt"]) < 0.01
    )
    assert executor.processes == []
