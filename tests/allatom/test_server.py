"""The same complex through REST and the page of a real server with a worker of its own."""

import json
import re
import subprocess
import sys
import time

import numpy as np
import pytest

import itda
from itda.errors import CapabilityError
from tests.patience import PATIENCE_SECONDS
from tests.web.serving import CHROMIUM, NEEDED, Looker, chromium, soon

from .conftest import COMPLEX, PROTEIN, written

TOKENS = len(PROTEIN) + 7 + 31 + 1


@pytest.fixture
def server(environment, tmp_path):
    """Give the link that a server prints."""
    log = tmp_path / "serve.log"
    command = [sys.executable, "-m", "itda", "serve", "--port", "0", "--no-browser"]
    with log.open("w") as told:
        process = subprocess.Popen(
            [*command, "--home", str(tmp_path / "home")],
            env=environment,
            stdout=told,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := re.search(r"http://\S+/auth/link\?token=\S+", log.read_text())):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield found[0]
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()


@pytest.fixture
def client(server, itda_command, tmp_path):
    home = ("accounts", "--home", tmp_path / "home")
    owner = re.search(r"\S+@\S+", itda_command(*home, "list").stdout)
    token = re.search(r"itda_\S+", itda_command(*home, "token", "create", owner[0]).stdout)
    with itda.Client(server.split("/auth/")[0], token[0]) as client:
        yield client


def test_rest(client, itda_command, computed, tmp_path) -> None:
    (family,) = [one for one in client.models().models if one.name == "allatom"]
    assert family.capabilities["max_tokens"] == 400 and "steps" in family.parameters
    source = written(tmp_path)
    (record,) = client.plan(source, family="allatom").records
    assert record.verdict == "runs"
    options = {"family": "allatom", "parameters": {"steps": 4}}
    (job,) = client.submit(source, **options).jobs
    done = client.wait(job)
    assert done.state == "done" and done.summary["samples"] == 3
    assert [stage.name for stage in client.stages(job)] == ["trunk", "predict", "validity"]
    found = client.confidence(job)
    assert found["ranked_by"] == "0.8_iptm_0.2_ptm" and len(found["plddt"]) == TOKENS
    client.download(job, tmp_path / "rest")
    itda_command("fold", source, "--model", "allatom", "--parameter", "steps=4", "--out", "command")
    here, there = (tmp_path / place / "complex.cif" for place in ("rest", "command"))
    assert here.read_bytes() == there.read_bytes()
    with np.load(tmp_path / "rest" / "complex.pae.npz") as arrays:
        assert arrays["pde"].shape == (TOKENS, TOKENS)

    # More samples of the same job: the worker computes those alone.
    computed()
    written(tmp_path, samples=5)
    (more,) = client.submit(source, **options).jobs
    assert client.wait(more).summary["samples"] == 5
    assert computed() == ["sample complex 0 3", "sample complex 0 4"]
    with pytest.raises(CapabilityError, match="steps"):
        client.submit(source, family="allatom", parameters={"step": 4})


@pytest.mark.skipif(CHROMIUM is None and not NEEDED, reason="needs Chromium")
def test_page(server, client, tmp_path) -> None:
    (job,) = client.submit(written(tmp_path), family="allatom").jobs
    client.wait(job)
    identity = getattr(job, "id", job)
    for locale, words in (
        ("en-GB", ("ipTM", "ligand", "DNA", "Ranked by 0.8 iptm 0.2 ptm", COMPLEX["name"])),
        ("ko-KR", ("ipTM", "리간드", "이온", "0.8 iptm 0.2 ptm 값이 높은 순서")),
    ):
        with chromium() as browser:
            looker = Looker(browser, server, locale=locale)
            looker.page.goto(server)
            page = looker.open(f"/jobs/{identity}")
            page.wait_for_selector("itda-result")
            text = page.locator("main").inner_text()
            for word in words:
                assert word in text, f"{word} is not on the page in {locale}"
            # The table of confidences names the atom where a token is one.
            table = page.request.get(f"{looker.base}/jobs/{identity}/result/residues.csv?sample=1")
            assert table.ok, table.status
            lines = table.text().splitlines()
            assert len(lines) == TOKENS + 1 and "atom" in lines[0]
            assert any(",ATP,PG," in line for line in lines)
            assert looker.complaints == []
            looker.close()


@pytest.mark.skipif(CHROMIUM is None and not NEEDED, reason="needs Chromium")
def test_the_form_asks_for_parameters_of_the_family(server, client) -> None:
    """What is typed in it is what the job is folded with; a wrong value is refused by name."""
    with chromium() as browser:
        looker = Looker(browser, server, locale="en-GB")
        page = looker.page
        page.goto(server)
        page.fill("#text", json.dumps({**COMPLEX, "samples": 1}))
        # No other family can fold it.
        page.wait_for_selector("#family-allatom:checked")
        field = page.locator("#parameter-steps")
        assert field.get_attribute("placeholder") == "20"
        field.fill("0")
        field.press("Tab")
        soon(page, lambda: "equal to 1" in page.locator("#preview").inner_text())
        assert page.locator("#preview button.main").is_disabled()
        # The field is there to be mended.
        field.fill("6")
        field.press("Tab")
        page.click("#preview button.main:enabled")
        page.wait_for_selector(".head .state.done")
        page.wait_for_selector("itda-result")
        identity = page.url.rsplit("/", 1)[-1]
        looker.close()
    assert client.confidence(identity)["provenance"]["parameters"] == {"steps": 6}
