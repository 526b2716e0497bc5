"""The client against a real server: what it sends, follows, fetches, and what it says of errors."""

from __future__ import annotations

import hashlib
import threading
import time

import httpx
import pytest

import itda
from itda.errors import CapabilityError, InputError, OutputError
from itda.job.model import Job
from itda.remote.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    QuotaError,
    ServerFaultError,
    UnauthenticatedError,
    UnreachableError,
)
from itda.wire import UBIQUITIN
from tests.server.rest.house import FASTA
from tests.server.rest.test_events import progress
from tests.server.rest.test_results import CIF, FILES

RESULTS = {kind: (name.replace('"', ""), content) for kind, (name, content) in FILES.items()}


def in_thread(work) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_text_files_and_jobs_are_sent(client, house, tmp_path):
    path = tmp_path / "two.fasta"
    path.write_text(FASTA + FASTA.replace("ubiquitin", "again"))
    sources = [UBIQUITIN, FASTA, path, Job.from_sequence("own", UBIQUITIN)]
    counts = [len(client.submit(source, samples=2).jobs) for source in sources]
    assert counts == [1, 1, 2, 1]
    assert {job.name for job in client.jobs()} == {"sequence_1", "ubiquitin", "again", "own"}
    assert client.job(next(client.jobs()).id).settings == {"samples": 2}


def test_files_that_jobs_name_are_sent_along(client, house, tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own.a3m").write_text(f">{folder}\n{UBIQUITIN}\n")
    path = tmp_path / "jobs.yaml"
    path.write_text(
        "".join(
            f"- version: 1\n  name: {folder}\n  entities:\n    - protein:\n"
            f"        sequence: {UBIQUITIN}\n        msa: {folder}/own.a3m\n"
            for folder in ("one", "two")
        )
    )
    submitted = client.submit(path)
    names = []
    for job in submitted.jobs:
        (file,) = house.services.queue.files(job.id, "input")
        names.append(file.name)
        document = client.job(job).document
        assert document["entities"][0]["protein"]["msa"] == file.name
        content = house.services.artefacts.path(file.digest).read_text()
        assert content.startswith(f">{job.name}\n")
    assert len(set(names)) == 2


def test_large_alignments_are_packed(client, house, tmp_path):
    (tmp_path / "big.a3m").write_text(f">a\n{UBIQUITIN}\n" * 20_000)
    path = tmp_path / "job.yaml"
    path.write_text(
        f"version: 1\nname: big\nentities:\n- protein: {{sequence: {UBIQUITIN}, msa: big.a3m}}\n"
    )
    (job,) = client.submit(path).jobs
    (file,) = house.services.queue.files(job.id, "input")
    assert file.name == "big.a3m.gz" and file.bytes < 100_000


def test_what_is_wrong_is_an_error_of_its_kind(client, house, tmp_path, served):
    with pytest.raises(InputError, match="digit") as caught:
        client.submit(">a\nMKT1\n")
    assert caught.value.hint
    with pytest.raises(CapabilityError, match="10 residues"):
        client.submit(">a\nMKT\n")
    with pytest.raises(InputError, match="samples"):
        client.submit(FASTA, samples=0)
    with pytest.raises(InputError, match="colour"):
        client.submit(FASTA, colour="red")
    with pytest.raises(InputError, match="there is no file"):
        client.submit(tmp_path / "absent.fasta")
    with pytest.raises(NotFoundError):
        client.job("0" * 32)
    (job,) = client.submit(FASTA).jobs
    with pytest.raises(ConflictError):
        client.retry(job)
    with pytest.raises(UnauthenticatedError):
        itda.Client(served.url, "itda_nothing").me()
    with pytest.raises(ForbiddenError):
        itda.Client(served.url, house.reader).submit(FASTA)
    house.services.queue.set_quota("project", house.project, "cpu", 1.0, "month")
    with pytest.raises(QuotaError):
        client.submit(FASTA)


def test_a_fault_of_the_server_tells_its_key(client, house, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError

    monkeypatch.setattr(house.services.queue, "jobs", broken)
    with pytest.raises(ServerFaultError) as caught:
        list(client.jobs())
    assert "its log under" in caught.value.hint


def test_lists_are_read_to_their_end(client):
    for number in range(5):
        client.submit(FASTA.replace("ubiquitin", f"job_{number}"))
    names = [job.name for job in client.jobs(page=2)]
    assert names == [f"job_{number}" for number in (4, 3, 2, 1, 0)]
    assert [job.name for job in client.jobs(text="_3")] == ["job_3"]
    assert list(client.jobs(states=["done"])) == []


def test_wait_follows_a_job_to_its_end(client, house):
    (job,) = client.submit(FASTA).jobs
    seen = []

    def work():
        claim = house.claim()
        for fraction in (0.25, 0.5):
            progress(house, claim, fraction)
            time.sleep(0.1)
        house.services.queue.finish(claim, [], {"mean_plddt": 71.0})

    worker = in_thread(work)
    done = client.wait(job, progress=seen.append)
    worker.join()
    assert done.state == "done" and done.summary["mean_plddt"] == 71.0
    assert seen[0].state in ("queued", "running") and seen[-1] == done
    assert client.wait(job) == done


def test_wait_gives_up_and_the_job_goes_on(client):
    (job,) = client.submit(FASTA).jobs
    with pytest.raises(TimeoutError, match="goes on"):
        client.wait(job, timeout=0.2)
    assert client.job(job).state == "queued"


def test_events_go_on_after_the_server_was_away(client, house, served):
    (job,) = client.submit(FASTA).jobs
    claim = house.claim()
    progress(house, claim, 0.1)
    told = []

    def work():
        while not any(event.kind == "stage_progress" for event in told):
            time.sleep(0.01)
        served.stop()
        progress(house, claim, 0.2)
        served.start()
        progress(house, claim, 0.3)
        house.services.queue.finish(claim, [], {})

    worker = in_thread(work)
    for event in client.events(job):
        told.append(event)  # noqa: PERF402
    worker.join()
    ids = [event.id for event in told]
    assert ids == sorted(set(ids))
    fractions = [one.data["fraction"] for one in told if one.kind == "stage_progress"]
    assert fractions == [0.1, 0.2, 0.3]
    assert [event.id for event in client.events(job, after=ids[1])] == ids[2:]
    assert list(client.events(job, after=ids[-1])) == []


def test_results_are_fetched_once_and_checked(client, house, tmp_path):
    (job,) = client.submit(FASTA).jobs
    with pytest.raises(NotFoundError, match="no files") as caught:
        client.download(job, tmp_path / "out")
    assert caught.value.hint == "it is queued"
    house.finish(RESULTS)
    written = client.download(job, tmp_path / "out")
    assert {kind: path.read_bytes() for kind, path in written.items()} == {
        kind: content for kind, (_, content) in RESULTS.items()
    }
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        name for name, _ in RESULTS.values()
    )
    times = {path: path.stat().st_mtime_ns for path in written.values()}
    client.download(job, tmp_path / "out")
    assert {path: path.stat().st_mtime_ns for path in written.values()} == times
    written["structure"].write_text("mine")
    with pytest.raises(OutputError, match="something else"):
        client.download(job, tmp_path / "out")
    client.download(job, tmp_path / "out", kinds=["structure"], overwrite=True)
    assert written["structure"].read_bytes() == CIF
    with pytest.raises(NotFoundError, match="'sample_9'"):
        client.download(job, tmp_path / "out", kinds=["sample_9"])
    assert client.structure(job).encode() == CIF
    assert client.confidence(job) == {"mean_plddt": 80.0}


def test_names_of_a_server_stay_in_the_folder(client, house, tmp_path):
    (job,) = client.submit(FASTA).jobs
    house.finish({"structure": ("../outside.cif", CIF)})
    with pytest.raises(OutputError, match="is a path"):
        client.download(job, tmp_path / "out")
    assert not (tmp_path / "outside.cif").exists()


def test_cancel_retry_remove_models_usage(client, house):
    (job,) = client.submit(FASTA).jobs
    assert client.cancel(job).state == "cancelled"
    assert client.retry(job).state == "queued"
    house.finish()
    client.remove(job)
    with pytest.raises(NotFoundError):
        client.job(job)
    assert [model.name for model in client.models().models] == ["mini", "flashabb", "esmfold"]
    assert len(client.usage().lines) == 1
    assert "Default" in client.usage_csv()
    assert client.plan(FASTA).accepted == 1
    assert client.me().user.email == "owner@localhost"
    assert client.stages(client.submit(FASTA).jobs[0]) == ()


class Scripted(httpx.BaseTransport):
    """Answers as it is told, and keeps what was asked."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []

    def handle_request(self, request):
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def scripted(*answers):
    transport = Scripted(*answers)
    waits: list[float] = []
    client = itda.Client(
        "https://itda.example.org/",
        "itda_x",
        http=httpx.Client(transport=transport),
        sleep=waits.append,
    )
    return client, transport, waits


def problem(status, kind="RateError", **headers):
    body = {"type": f"urn:itda:problem:{kind}", "title": "x", "status": status, "detail": "slow"}
    return httpx.Response(status, json=body, headers=headers)


MODELS = {"models": []}


def test_what_can_be_sent_twice_is_tried_again():
    client, transport, waits = scripted(
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        problem(429, **{"Retry-After": "7"}),
        httpx.Response(503, text="starting"),
        httpx.Response(200, json=MODELS),
    )
    assert client.models().models == ()
    assert len(transport.asked) == 5
    assert waits[2] == 7.0
    assert transport.asked[0].headers["authorization"] == "Bearer itda_x"


def test_a_submission_keeps_its_key_when_it_is_sent_again():
    client, transport, _ = scripted(
        httpx.ReadTimeout("slow"), httpx.Response(201, json={"jobs": []})
    )
    client.submit(FASTA)
    first, second = (request.headers["idempotency-key"] for request in transport.asked)
    assert first == second and len(first) == 32


def test_what_cannot_be_sent_twice_is_not():
    client, transport, _ = scripted(httpx.ReadTimeout("slow"))
    with pytest.raises(UnreachableError):
        client.cancel("0" * 32)
    assert len(transport.asked) == 1


def test_a_quota_is_not_waited_for():
    client, transport, waits = scripted(problem(429, kind="QuotaError"))
    with pytest.raises(QuotaError):
        client.submit(FASTA)
    assert len(transport.asked) == 1 and waits == []


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>sign in to the network</html>"),
        httpx.Response(404, text="<html>nothing</html>"),
        httpx.Response(302, headers={"location": "https://other.example.org/"}),
        httpx.Response(200, json={"other": 1}),
    ],
)
def test_answers_of_something_else_are_said(answer):
    client, _, _ = scripted(answer)
    with pytest.raises(UnreachableError, match=r"itda\.example\.org"):
        client.models()


def test_a_file_that_is_damaged_on_its_way_is_not_kept(tmp_path):
    digest = hashlib.sha256(b"whole").hexdigest()
    listed = {
        "files": [
            {"kind": "structure", "name": "a.cif", "bytes": 5, "sha256": digest, "url": "/api/v1/f"}
        ]
    }
    broken = [httpx.Response(200, content=b"whol") for _ in range(4)]
    client, _, _ = scripted(
        httpx.Response(200, json=listed), *broken, httpx.Response(200, content=b"whole")
    )
    assert client.download("0" * 32, tmp_path)["structure"].read_bytes() == b"whole"
    client, _, _ = scripted(
        httpx.Response(200, json=listed), *broken, httpx.Response(200, content=b"whol")
    )
    with pytest.raises(UnreachableError):
        client.download("0" * 32, tmp_path / "second")
    assert list((tmp_path / "second").iterdir()) == []


def test_the_client_is_imported_only_when_asked_for():
    import subprocess
    import sys

    seen = "print([name for name in ('httpx', 'torch') if name in sys.modules])"
    code = f"import itda, sys; {seen}; itda.Client; {seen}"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines() == ["[]", "['httpx']"]
