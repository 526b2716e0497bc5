"""`itda remote` against a real server: what it prints, what it keeps, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from importlib.resources import files as files_of

import pytest

from itda.cli.main import run
from itda.remote.profile import profile_file
from itda.wire import UBIQUITIN
from tests.patience import PATIENCE_SECONDS
from tests.server.rest.house import FASTA
from tests.server.rest.test_results import CIF

from .test_client import RESULTS, in_thread


@pytest.fixture
def remote(served, house, monkeypatch, capfd):
    """Run a command and return its status and what it printed."""
    monkeypatch.setenv("ITDA_URL", served.url)
    monkeypatch.setenv("ITDA_TOKEN", house.owner)

    def remote(*arguments):
        capfd.readouterr()
        status = run(["remote", *arguments])
        out, err = capfd.readouterr()
        return status, out, err

    return remote


@pytest.fixture
def fasta(tmp_path):
    path = tmp_path / "proteins.fasta"
    path.write_text(FASTA + ">b\nMKT1\n")
    return path


def test_login_keeps_a_token_for_its_user_alone(served, house, remote, monkeypatch):
    monkeypatch.delenv("ITDA_URL")
    monkeypatch.delenv("ITDA_TOKEN")
    status, _, err = remote("models")
    assert (status, "itda remote login" in err) == (1, True)
    status, _, err = remote("login", served.url, "--token", "itda_wrong")
    assert status == 1 and not profile_file().exists()
    status, out, _ = remote("login", f"{served.url}/", "--token", house.owner)
    assert status == 0 and "owner@localhost" in out and house.owner not in out
    assert stat.S_IMODE(profile_file().stat().st_mode) == 0o600
    assert remote("models")[0] == 0
    # A token goes only to the server that it was kept for.
    monkeypatch.setenv("ITDA_URL", "http://127.0.0.1:9")
    status, _, err = remote("models")
    assert (status, "no token is known" in err) == (1, True)


def test_login_warns_where_all_can_be_read(remote):
    _, _, err = remote("login", "http://itda.invalid:1", "--token", "itda_x")
    assert "can be read on its way" in err
    status, _, err = remote("login", "ftp://x", "--token", "itda_x")
    assert (status, "no address of a server" in err) == (1, True)


def test_submit_says_what_is_queued_and_what_not(remote, fasta):
    status, out, err = remote("submit", str(fasta), "--samples", "2")
    assert status == 2
    assert out.splitlines()[0].endswith("ubiquitin") and "digit" in err
    fasta.write_text(FASTA)
    assert remote("submit", str(fasta))[0] == 0
    fasta.write_text(">b\nMKT1\n")
    assert remote("submit", str(fasta))[0] == 1
    status, out, _ = remote("list")
    assert status == 0 and len(out.splitlines()) == 2
    _, out, _ = remote("list", "--json", "--limit", "1")
    assert json.loads(out)["state"] == "queued"


def test_several_files_and_a_folder_are_sent_one_after_the_other(remote, fasta, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "one.fasta").write_text(FASTA)
    (folder / "notes.docx").write_text("x")
    (folder / "bad.fasta").write_text(">b\nMKT1\n")
    fasta.write_text(FASTA.replace("ubiquitin", "other"))
    status, out, err = remote("submit", str(fasta), str(folder), str(tmp_path / "gone.fasta"))
    assert status == 2
    assert [line.split()[1] for line in out.splitlines()] == ["other", "ubiquitin"]
    for said in ("left out: notes.docx", "no file", "gone.fasta", "digit"):
        assert said in err
    assert "another file has a record of this name" not in err
    _, out, err = remote("submit", str(folder / "one.fasta"), f"{folder}/o*", str(fasta), "--plan")
    assert out.count("would start") == 2 and "is named twice and taken once" in err
    (folder / "again.fasta").write_text(FASTA)
    assert "another file has a record of this name" in remote("submit", str(folder))[2]
    assert remote("submit", f"{folder}/*.fa", f"{folder}/*.faa")[0] == 1
    (tmp_path / "rows.a3m").write_text(f">q\n{UBIQUITIN}\n>r\n{UBIQUITIN}\n")
    status, out, _ = remote("submit", str(tmp_path / "rows.a3m"))
    assert status == 0 and [line.split()[1] for line in out.splitlines()] == ["rows"]


def test_an_alignment_beside_an_input_is_sent_with_a_word(remote, client, tmp_path):
    path = tmp_path / "ubq.fasta"
    path.write_text(f">sp|P0CG48|UBC_HUMAN\n{UBIQUITIN}\n")
    (tmp_path / "ubq.a3m").write_text(f">q\n{UBIQUITIN}\n>r\n{UBIQUITIN[:-1]}-\n")
    status, out, err = remote("submit", str(path), "--model", "mini")
    assert status == 0
    assert "ubq.a3m beside" in err and "is sent with it" in err
    (key,) = [line.split()[0] for line in out.splitlines() if "UBC_HUMAN" in line]
    assert "ubq.a3m" in json.dumps(client.job(key).document)
    _, _, err = remote("submit", str(path), "--model", "mini", "--msa", "none")
    assert "beside" not in err


def test_plan_submits_nothing(remote, fasta):
    status, out, err = remote("submit", str(fasta), "--plan")
    assert status == 2
    assert "mini: all" in out and "would start" in out and "digit" in err
    assert remote("list")[1] == ""
    _, out, _ = remote("submit", str(fasta), "--plan", "--json")
    assert json.loads(out)["accepted"] == 1


def test_submit_waits_and_fetches(remote, house, fasta, tmp_path):
    def work():
        while True:
            try:
                house.finish(RESULTS)
                return
            except ValueError:
                time.sleep(0.02)

    fasta.write_text(FASTA)
    worker = in_thread(work)
    status, out, _ = remote("submit", str(fasta), "--wait", "--out", str(tmp_path / "out"))
    worker.join()
    assert status == 0
    assert "done, mean pLDDT 80.5" in out
    assert len(list((tmp_path / "out").iterdir())) == len(RESULTS)


def test_jobs_are_watched_fetched_and_ended(remote, house, fasta, tmp_path):
    remote("submit", str(fasta))
    remote("submit", str(fasta))
    keys = [line.split()[0] for line in remote("list")[1].splitlines()]
    claim = house.claim()
    done, waiting = claim.job.id, next(key for key in keys if key != claim.job.id)
    digest, size = house.services.artefacts.put(CIF)
    from itda.server.queue.records import FileRecord

    file = FileRecord(kind="structure", name="x.cif", digest=digest, bytes=size)
    house.services.queue.finish(claim, [file], {"mean_plddt": 60.0})
    status, out, _ = remote("status", waiting)
    assert status == 0 and "0 before it" in out
    assert remote("cancel", waiting, "0" * 32)[0] == 2
    assert remote("watch", done, waiting)[0] == 2
    assert remote("watch", done)[0] == 0
    assert remote("retry", waiting)[0] == 0
    assert remote("retry", done)[0] == 1
    status, out, err = remote("fetch", done, waiting, "--out", str(tmp_path / "out"))
    assert status == 2 and "it is queued" in err
    assert (tmp_path / "out" / "x.cif").read_bytes() == CIF
    claim = house.claim()
    house.services.queue.fail(claim, {"kind": "InputError", "problem": "broken", "hint": "mend"})
    status, _, err = remote("watch", waiting)
    assert status == 1 and "broken" in err and "mend" in err


def test_account_usage_and_models(remote, house):
    status, out, _ = remote("status")
    assert status == 0 and "Default  manager" in out
    remote("submit", "--help")
    status, out, _ = remote("usage", "--csv")
    assert status == 0 and out.splitlines()[0].startswith("month,")
    status, out, _ = remote("usage", "--from", "2026-02-01", "--to", "2026-03-01")
    assert (status, out) == (0, "nothing from 2026-02-01 to 2026-03-01\n")
    status, out, _ = remote("models")
    assert status == 0 and out.startswith("mini: ")


def test_ctrl_c_ends_the_watching_and_not_the_job(served, house, client):
    (job,) = client.submit(UBIQUITIN).jobs
    environment = {
        **os.environ,
        "ITDA_URL": served.url,
        "ITDA_TOKEN": house.owner,
        "PYTHONUNBUFFERED": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "itda", "remote", "watch", job.id],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        assert "queued" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "the jobs go on" in err and f"itda remote watch {job.id}" in err
    assert client.job(job).state == "queued"


def test_templates_are_sent_along(house, remote, tmp_path):
    structure = tmp_path / "odd:1ubq.cif"
    structure.write_bytes(files_of("itda").joinpath("data/examples/1ubq.cif").read_bytes())
    path = tmp_path / "one.fasta"
    path.write_text(FASTA)
    status, out, err = remote("submit", str(path), "--template", f"A={structure}:A")
    assert status == 0, err
    kept = house.services.queue.job(out.split()[0])
    (template,) = kept.document["entities"][0]["protein"]["templates"]
    assert template["chain"] == "A" and template["path"].endswith("1ubq.cif")
    status, out, err = remote("submit", str(path), "--template", "nowhere.cif")
    assert status == 1 and "there is no file 'nowhere.cif'" in err
    status, out, err = remote("submit", str(path), "--template", f"{structure}:Q", "--plan")
    assert "no protein chain 'Q'" in err
