import gzip
import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from itda.errors import OutputError
from itda.hub.fetch import Transferred
from itda.published import plan as plans
from itda.published.entries import ENTRIES, get_entry
from itda.published.get import get, plan
from itda.published.plan import Plan, parse_metalink
from itda.search.databases.registry import Databases
from tests.hub.servers import Server
from tests.packages import metastudent_files, write_package
from tests.published.conftest import FASTA, METALINK, PACKED, SWISSPROT, metalink

Run = Callable[..., tuple[int, str, str]]
MD5 = hashlib.md5(PACKED, usedforsecurity=False).hexdigest()


def swissprot(databases: Databases) -> Plan:
    return plan(get_entry("swissprot"), databases)


def test_it_is_told_fetched_verified_and_built(
    db: Run, databases: Databases, server: Server, tmp_path: Path
) -> None:
    status, out, err = db("get", "swissprot", "--no-mmseqs")
    assert status == 0, err
    assert f"source: {server.url}/{SWISSPROT}, release 2026_05" in out
    assert f"to fetch: {len(PACKED) / 1000:.1f} kB" in out or f"{len(PACKED)} bytes" in out
    assert "licence: CC BY 4.0" in out
    assert f"verified: the publisher's MD5 {MD5}" in out
    assert out.index("licence:") < out.index("swissprot: 400 sequences")
    made = databases.get("swissprot")
    assert made.manifest["source"]["release"] == "2026_05"
    assert made.manifest["source"]["files"][0]["sha256"] == hashlib.sha256(PACKED).hexdigest()
    # The same as a file of the user's.
    plain = tmp_path / "plain.fasta"
    plain.write_text(FASTA)
    assert databases.add_sequences("plain", plain, mmseqs=False).digest == made.digest
    assert sorted(path.name for path in databases.folder.iterdir()) == ["plain", "swissprot"]
    assert db("check")[0] == 0
    status, _, err = db("get", "swissprot")
    assert (status, "there is a database swissprot already" in err) == (1, True)


def test_a_broken_connection_goes_on(db: Run, server: Server, waited: list[float]) -> None:
    # The first body is that of the metalink.
    server.cut_after = [len(metalink()), 500, 300]
    status, out, err = db("get", "swissprot", "--no-mmseqs")
    assert (status, "swissprot: 400 sequences" in out) == (0, True), err
    assert server.gets() == ["", "", "bytes=500-", "bytes=800-"]
    assert len(waited) == 2
    assert "trying again" in err


def test_a_stopped_fetch_goes_on(db: Run, databases: Databases, server: Server) -> None:
    def stop(event: Transferred) -> None:
        if event.done:
            raise KeyboardInterrupt

    server.cut_after = [len(metalink()), 700]
    with pytest.raises(KeyboardInterrupt):
        get(swissprot(databases), databases, mmseqs=False, on_transfer=stop)
    assert databases.names() == ()
    held = databases.half_fetched()["swissprot"]
    assert held >= 700
    status, _, err = db("check", "swissprot")
    assert (status, "its fetch was stopped" in err, "`itda db get swissprot`" in err) == (
        1,
        True,
        True,
    )
    out = db("list")[1]
    assert "swissprot: unfinished" in out
    assert "`itda db get swissprot` goes on" in out
    server.requests.clear()
    status, out, err = db("get", "swissprot", "--no-mmseqs")
    assert status == 0, err
    assert "of which 700 bytes are here" in out
    assert server.gets() == ["", "bytes=700-"]
    assert databases.half_fetched() == {}


def test_a_stopped_build_fetches_nothing_again(databases: Databases, server: Server) -> None:
    def stop(fraction: float, step: str) -> None:
        if step == "computing digests" or fraction > 0.4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(swissprot(databases), databases, mmseqs=False, progress=stop)
    server.requests.clear()
    get(swissprot(databases), databases, mmseqs=False)
    assert [path for method, path, _, _ in server.requests if method == "GET"] == [METALINK]
    assert databases.get("swissprot").sequences == 400


def test_a_release_that_changed_meanwhile_is_fetched_anew(
    databases: Databases, server: Server
) -> None:
    def stop(fraction: float, step: str) -> None:
        if fraction > 0.4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(swissprot(databases), databases, mmseqs=False, progress=stop)
    newer = gzip.compress(FASTA.encode() + b">new\nMKV\n")
    server.files.update({SWISSPROT: newer, METALINK: metalink(newer)})
    assert get(swissprot(databases), databases, mmseqs=False).sequences == 401


def test_another_digest_is_refused_and_removed(
    db: Run, databases: Databases, server: Server
) -> None:
    server.files[METALINK] = metalink(md5="ab" * 16)
    status, _, err = db("get", "swissprot", "--no-mmseqs")
    assert status == 1
    assert f"has MD5 {MD5}, not {'ab' * 16}; it was removed" in " ".join(err.split())
    assert databases.names() == ()
    assert not list(databases.fetch_folder("swissprot").iterdir())
    assert "no databases in" in db("list")[1]
    server.files[METALINK] = metalink()
    assert db("get", "swissprot", "--no-mmseqs")[0] == 0


def test_another_size_is_refused(db: Run, databases: Databases, server: Server) -> None:
    server.files[METALINK] = metalink(size=len(PACKED) + 1)
    status, _, err = db("get", "swissprot", "--no-mmseqs")
    assert status == 1
    assert f"has {len(PACKED):,} bytes, not {len(PACKED) + 1:,}" in " ".join(err.split())
    assert databases.names() == ()


@pytest.mark.parametrize(
    "content", [None, b"no xml", b"<metalink/>", metalink().replace(b"sprot.fasta", b"x")]
)
def test_without_a_digest_it_says_so(db: Run, server: Server, content: bytes | None) -> None:
    if content is None:
        del server.files[METALINK]
    else:
        server.files[METALINK] = content
    status, out, err = db("get", "swissprot", "--no-mmseqs")
    assert status == 0, err
    assert "verified: its digest cannot be had" in out
    assert f"SHA-256 {hashlib.sha256(PACKED).hexdigest()}" in out
    assert "MD5" not in out.partition("swissprot: 400")[2]


def test_damage_that_no_digest_tells_is_found_and_fetched_anew(
    db: Run, databases: Databases, server: Server
) -> None:
    del server.files[METALINK]
    server.files[SWISSPROT] = PACKED[:-20]
    status, _, err = db("get", "swissprot", "--no-mmseqs")
    assert (status, "ends in the middle of its compressed data" in err) == (1, True)
    assert databases.names() == ()
    server.files[SWISSPROT] = PACKED
    assert db("get", "swissprot", "--no-mmseqs")[0] == 0


def test_records_that_cannot_be_used_are_left_out_and_told(db: Run, server: Server) -> None:
    content = gzip.compress(FASTA.encode() + b">long\n" + b"M" * 70_000 + b"\n")
    server.files.update({SWISSPROT: content, METALINK: metalink(content)})
    status, out, err = db("get", "swissprot", "--no-mmseqs")
    assert status == 0, err
    assert "swissprot: 400 sequences" in out
    assert "left out: 1 (longer than 65,535 residues)" in out


def test_two_at_once(databases: Databases) -> None:
    refused = []

    def meanwhile(event: Transferred) -> None:
        if not refused:
            with pytest.raises(OutputError) as caught:
                get(swissprot(databases), databases, mmseqs=False)
            with pytest.raises(OutputError):
                databases.remove("swissprot")
            refused.append(str(caught.value))

    get(swissprot(databases), databases, mmseqs=False, on_transfer=meanwhile)
    assert "database swissprot is being built or removed by process" in refused[0]
    assert databases.get("swissprot").sequences == 400


def test_what_does_not_fit_is_refused_before_it_is_fetched(
    db: Run, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "free_bytes", lambda folder: 100)
    status, _, err = db("get", "swissprot")
    assert status == 1
    assert "100 bytes are free" in err
    assert "$ITDA_DATABASES" in err
    assert SWISSPROT not in [path for method, path, _, _ in server.requests if method == "GET"]


FULL_DISK = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from itda.cli import main
import itda.cli.db, itda.published.get
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
raise SystemExit(main.run(["db", "get", "swissprot", "--no-mmseqs"]))
"""


@pytest.mark.parametrize("limit", [1500, 30_000])
def test_a_disk_that_fills_says_so_and_the_fetch_goes_on(
    db: Run, databases: Databases, server: Server, limit: int
) -> None:
    assert 1500 < len(PACKED) < 30_000 < len(FASTA)
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK.format(limit=limit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "File too large" in done.stderr
    assert "free some space" in done.stderr
    assert databases.names() == ()
    server.requests.clear()
    status, _, err = db("get", "swissprot", "--no-mmseqs")
    assert status == 0, err
    # In the first case the rest is fetched; in the second all was here.
    fetched = [part for method, path, part, _ in server.requests if path == SWISSPROT and part]
    assert fetched == (["bytes=1500-"] if limit == 1500 else [])


def test_a_large_one_is_asked_about(
    db: Run, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("itda.cli.db_get.ASKS_FROM_BYTES", 100)
    status, out, err = db("get", "swissprot", "--no-mmseqs")
    assert status == 1
    assert "licence:" in out
    assert "there is nobody to ask" in err
    assert "--yes" in err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    status, _, err = db("get", "swissprot", "--no-mmseqs")
    assert (status, "nothing was fetched" in err) == (1, True)
    assert SWISSPROT not in [path for method, path, _, _ in server.requests if method == "GET"]
    assert db("get", "swissprot", "--no-mmseqs", "--yes")[0] == 0


def test_a_stopped_fetch_is_freed(db: Run, databases: Databases) -> None:
    folder = databases.fetch_folder("uniref50")
    folder.mkdir(parents=True)
    (folder / "uniref50.fasta.gz.partial").write_bytes(b"x" * 1234)
    assert "uniref50: unfinished, 1.2 kB" in db("list")[1]
    assert db("remove", "uniref50")[1] == "uniref50 removed, 1.2 kB freed\n"
    assert not folder.exists()


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (("swisprot",), {}, "did you mean swissprot?"),
        (("something",), {}, "there are swissprot, uniref50"),
        (("swissprot",), {"ITDA_OFFLINE": "1"}, "the network is not to be used"),
        (("swissprot", "--mirror", "mirror.example.org"), {}, "is no http address"),
        (("uniref50",), {}, "is not there (HTTP 404)"),
        (("swissprot", "--index", "--gpu"), {}, "asked for together"),
        (("uniref30",), {"ITDA_MMSEQS": "/nowhere"}, "which cannot be run"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_fetched(
    db: Run, server: Server, monkeypatch: pytest.MonkeyPatch, arguments, environment, said
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    status, _, err = db("get", *arguments)
    assert (status, said in " ".join(err.split())) == (1, True), err
    assert server.gets() == []


def test_a_server_that_is_not_there(db: Run) -> None:
    status, _, err = db("get", "swissprot", "--mirror", "http://127.0.0.1:9")
    assert status == 1
    assert "give the same command again: it goes on" in " ".join(err.split())
    assert "weights" not in err


def test_the_list(db: Run, server: Server) -> None:
    status, out, _ = db("get")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()[1:-1]] == list(ENTRIES)
    assert out == db("get", "--list")[1]
    assert len(db("get", "--list", "ccd")[1].splitlines()) == 3
    assert server.requests == []


def test_a_metalink_is_read() -> None:
    assert parse_metalink(metalink(), "uniprot_sprot.fasta.gz") == (len(PACKED), MD5, "2026_05")
    with pytest.raises(ValueError, match="tells no size and MD5"):
        parse_metalink(metalink(md5="zz"), "uniprot_sprot.fasta.gz")


def test_the_package_is_fetched_with_apt(
    db: Run, databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [("P00001|GO:1", "MKVLA")]
    small = metastudent_files({"BPO": records, "MFO": records, "CCO": records})
    package = write_package(tmp_path / "small", small)
    apt = tmp_path / "apt-get"
    apt.write_text(f'#!/bin/sh\ncp "{package}" "$2_2.0.1-8_all.deb"\n')
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    status, out, err = db("get", "swissprot-2014", "--no-mmseqs")
    assert "source: apt, metastudent-data" in out
    assert "licence: GPL-2+" in out
    # It came, and is not the one whose counts are known.
    assert (status, "1 sequences in BPO, not 486,000" in err) == (1, True), err
    assert databases.names() == ()
