"""Inputs that are made to hurt: refused by name, or harmless."""

from __future__ import annotations

import asyncio
import functools
import gzip
import io
import json
import socket
import threading
import time
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from .bare import bearer, client_of
from .world import World, make_world

API = "/api/v1"
MEGABYTE = 2**20
GIGABYTE = 2**30
BODY, EXPANDED = 2 * MEGABYTE, 8 * MEGABYTE
FASTA = ">x\nMKVLAAGIVGLCAKAYEA\n"
BOUNDARY = "----boundary"


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    url = f"sqlite:///{folder / 'itda.db'}"
    made = make_world(url, folder / "home", body_bytes=BODY, expanded_bytes=EXPANDED)
    yield made
    made.services.database.close()


@pytest.fixture
def send(world):
    """Return a sender of a form: as a plan, and as a submission; both must be refused alike."""
    client, headers = client_of(world.app), bearer(world.tokens["full"])

    def both(text: str = "", files: dict[str, bytes] | None = None, **fields: str) -> str:
        parts = [("input", (None, text)), ("family", (None, "mini"))]
        parts += [("file", (name, content)) for name, content in (files or {}).items()]
        parts += [(name, (None, value)) for name, value in fields.items()]
        plan = client.post(f"{API}/plan", headers=headers, files=parts)
        assert plan.status_code in (200, 413, 422), plan.text
        before = world.services.queue.jobs([world.project.id], limit=1).total
        parts += [("project", (None, world.project.id))]
        submitted = client.post(f"{API}/jobs", headers=headers, files=parts)
        assert submitted.status_code in (413, 422), submitted.text
        assert world.services.queue.jobs([world.project.id], limit=1).total == before
        told = plan.text + submitted.text
        assert "root:" not in told and "Traceback" not in told
        assert str(world.services.settings.home) not in told and "/tmp" not in told
        return submitted.json()["detail"]

    return both


# Bodies -------------------------------------------------------------------------------------------


def multipart(name: str) -> tuple[bytes, bytes]:
    start = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="a.fasta"'
        "\r\nContent-Type: application/octet-stream\r\n\r\n"
    )
    return start.encode(), f"\r\n--{BOUNDARY}--\r\n".encode()


KINDS = {
    "application/json": (b'{"input": "', b'"}'),
    f"multipart/form-data; boundary={BOUNDARY}": multipart("input"),
    "application/x-www-form-urlencoded": (b"text=", b""),
}


@pytest.mark.parametrize("told", [True, False], ids=["with its length", "in chunks"])
@pytest.mark.parametrize("kind", KINDS, ids=["json", "multipart", "urlencoded"])
@pytest.mark.parametrize("path", [f"{API}/jobs", "/jobs", "/auth/sign-in"])
def test_a_body_of_a_gigabyte_is_not_read(world, path, kind, told):
    start, end = KINDS[kind]
    piece = b"A" * MEGABYTE
    taken = 0

    def pieces() -> Iterator[bytes]:
        yield start
        for _ in range(1024):
            yield piece
        yield end

    stream, answer = pieces(), []

    async def receive():
        nonlocal taken
        chunk = next(stream, None)
        taken += len(chunk or b"")
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    async def answered(message):
        answer.append(message)

    browser = world.browser("alice")
    headers = {
        "host": "127.0.0.1",
        "content-type": kind,
        "cookie": f"itda_session={browser.cookies['itda_session']}",
        "x-csrf-token": browser.headers["x-csrf-token"],
    }
    if told:
        headers["content-length"] = str(GIGABYTE + len(start) + len(end))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8787),
        "state": {},
    }
    tracemalloc.start()
    try:
        asyncio.run(world.app(scope, receive, answered))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # A kind of body that a route does not take is refused unread.
    assert answer[0]["status"] == 413 or (answer[0]["status"] == 422 and taken == 0)
    assert taken == 0 if told else taken <= BODY + 2 * MEGABYTE
    assert peak < 8 * BODY


@pytest.fixture(scope="module")
def address(world) -> Iterator[tuple[str, int]]:
    """A real server, since what it reads ahead counts too."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(world.app, log_level="error", proxy_headers=False, lifespan="off")
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield listener.getsockname()
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.mark.parametrize("chunked", [True, False])
def test_a_real_connection_is_refused_early(world, address, chunked):
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {GIGABYTE}"
    head = (
        f"POST {API}/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {world.tokens['full']}\r\n{length}\r\n\r\n"
    )
    piece = b"A" * MEGABYTE
    framed = b"%x\r\n" % MEGABYTE + piece + b"\r\n" if chunked else piece
    sent = 0
    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall(head.encode())
        try:
            for _ in range(1024):
                connection.sendall(framed)
                sent += MEGABYTE
        except OSError:  # it hung up, as it should
            pass
        told = b""
        try:
            while part := connection.recv(65536):
                told += part
        except OSError:
            pass  # what it said may be lost when it hangs up on what is still sent
    assert sent < 100 * MEGABYTE
    assert told == b"" or told.startswith(b"HTTP/1.1 413")
    answer = client_of(world.app).get(f"{API}/me", headers=bearer(world.tokens["full"]))
    assert answer.status_code == 200


def test_many_parts_are_refused(send):
    detail = send("", {f"f{one}.fasta": b"" for one in range(2500)})
    assert "files" in detail.lower()


# Archives -----------------------------------------------------------------------------------------


@functools.cache
def gzip_bomb(size: int) -> bytes:
    target = io.BytesIO()
    with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=9) as stream:
        stream.write(b">x\n")
        for _ in range(size // MEGABYTE):
            stream.write(b"A" * MEGABYTE)
    return target.getvalue()


@pytest.mark.parametrize("name", ["a.fasta.gz", "a.fasta", "a.yaml.gz", "a.a3m.gz", "a.cif.gz"])
def test_a_gzip_bomb_is_not_blown_up(send, name):
    bomb = gzip_bomb(128 * MEGABYTE)
    assert len(bomb) < MEGABYTE
    tracemalloc.start()
    try:
        detail = send(FASTA, {name: bomb})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "decompressed" in detail
    assert peak < 6 * EXPANDED


def test_a_bomb_that_a_job_names_is_not_blown_up(send):
    job = {
        "version": 1,
        "name": "x",
        "entities": [{"protein": {"id": "A", "sequence": "MKVLAA", "msa": "a.a3m.gz"}}],
    }
    bomb = gzip_bomb(128 * MEGABYTE)
    tracemalloc.start()
    try:
        send(json.dumps(job), {"a.a3m.gz": bomb})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * EXPANDED


def test_a_bomb_within_a_bomb_is_not_opened(send):
    bomb = gzip.compress(gzip_bomb(128 * MEGABYTE))
    for name in ("a.fasta.gz", "a.yaml.gz", "a.a3m.gz"):
        assert "compressed twice" in send("", {name: bomb})


def test_a_zip_archive_is_no_input(send):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../etc/passwd", "x")
        archive.writestr("a.fasta", "A" * 64 * MEGABYTE)
    for name in ("a.zip", "a.fasta", "a.yaml", "a.json"):
        send("", {name: target.getvalue()})


def test_a_compressed_body_is_not_expanded(world):
    client, headers = client_of(world.app), bearer(world.tokens["full"])
    body = gzip.compress(b'{"input": "' + b"A" * 64 * MEGABYTE + b'"}')
    sent = {**headers, "Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = client.post(f"{API}/plan", content=body, headers=sent)
    assert answer.status_code in (400, 415, 422)


# Names --------------------------------------------------------------------------------------------

PATHS = [
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    ".",
    "a/../../b.fasta",
    "..\\..\\windows\\win.ini",
    "C:\\windows\\win.ini",
    "a\0.fasta",
    "a\n.fasta",
    "~/x.fasta",
    ".hidden.fasta",
    "x" * 300 + ".fasta",
    "con\u202efasta.exe",
]


@pytest.mark.parametrize("name", PATHS)
def test_a_name_that_is_a_path_is_refused_or_harmless(world, send, name):
    before = sorted(world.services.settings.home.parent.iterdir())
    send(FASTA, {name: b"MKV"})
    assert sorted(world.services.settings.home.parent.iterdir()) == before


@pytest.mark.parametrize("path", [*PATHS, "/proc/self/environ", "/dev/zero", "file:///etc/passwd"])
def test_a_job_reads_no_file_of_the_server(send, path):
    for key in ("msa", "paired_msa", "profile", "templates", "components", "a3m"):
        job: dict[str, object] = {"version": 1, "name": "x"}
        protein: dict[str, object] = {"id": "A", "sequence": "MKVLAAGIVG"}
        if key == "components":
            job["components"] = path
        elif key == "templates":
            protein["templates"] = [{"path": path}]
        else:
            protein[key] = path
        job["entities"] = [{"protein": protein}]
        send(json.dumps(job))
    boltz = {
        "version": 1,
        "sequences": [{"protein": {"id": "A", "sequence": "MKVLAAGIVG", "msa": path}}],
    }
    send(json.dumps(boltz))
    alphafold = {
        "name": "x",
        "dialect": "alphafold3",
        "version": 2,
        "modelSeeds": [1],
        "sequences": [
            {
                "protein": {
                    "id": "A",
                    "sequence": "MKVLAAGIVG",
                    "unpairedMsaPath": path,
                    "pairedMsaPath": path,
                    "templates": [{"mmcifPath": path, "queryIndices": [0], "templateIndices": [0]}],
                }
            }
        ],
        "userCCDPath": path,
    }
    send(json.dumps(alphafold))


# Documents ----------------------------------------------------------------------------------------


def laughs(depth: int = 12) -> str:
    lines = [f"a{one}: &a{one} [{', '.join([f'*a{one - 1}'] * 10)}]" for one in range(1, depth)]
    start = ["version: 1", "name: x", 'a0: &a0 ["ha"]']
    return "\n".join([*start, *lines, f"entities: *a{depth - 1}", ""])


DOCUMENTS = {
    "laughs": laughs(),
    "laughs in place": "version: 1\nname: x\nentities:\n- protein: &p {id: A, sequence: MKV}\n"
    + "- protein: *p\n" * 100_000,
    "an alias of itself": "version: 1\nname: x\nentities: &e [*e]\n",
    "merges": "a: &a {x: 1}\n" + "".join(f"b{i}: {{<<: *a}}\n" for i in range(50_000)),
    "python": "!!python/object/apply:os.system ['touch itda-was-here']",
    "python new": "version: 1\nname: !!python/object/new:os.system [id]\nentities: []\n",
    "deep json": "[" * 100_000,
    "deep object": '{"a":' * 50_000,
    "deep yaml": "[" * 20_000,
    "deep indent": "".join(f"{' ' * i}a:\n" for i in range(1200)),
    "many keys": json.dumps({"version": 1, **{f"k{i}": i for i in range(100_000)}}),
    "many documents": "---\nversion: 1\n" * 50_000,
    "huge number": '{"version": 1e99999, "name": "x", "entities": []}',
    "long number": '{"version": ' + "9" * 100_000 + "}",
    "no numbers": '{"version": NaN, "name": Infinity}',
    "half a pair": '{"version": 1, "name": "\\ud800", "entities": []}',
    "nul": '{"version": 1, "name": "a\\u0000b", "entities": []}',
    "octal": "version: 1\nname: 0o777777777777777777777777\nentities: [1:1:1:1:1]\n",
    "timestamps": "version: 2001-99-99\nname: 2001-01-01\n",
    "copies": json.dumps(
        {
            "version": 1,
            "name": "x",
            "entities": [{"protein": {"id": "A", "sequence": "MKV", "copies": 10**9}}],
        }
    ),
    "seeds": json.dumps(
        {
            "version": 1,
            "name": "x",
            "seeds": list(range(100_000)),
            "samples": 10**9,
            "entities": [{"protein": {"id": "A", "sequence": "MKV"}}],
        }
    ),
    "smiles": json.dumps(
        {
            "version": 1,
            "name": "x",
            "entities": [{"ligand": {"id": "L", "smiles": "C(" * 50_000}}],
        }
    ),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_that_is_made_to_hurt_is_refused(send, name):
    tracemalloc.start()
    try:
        send(DOCUMENTS[name])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 400 * MEGABYTE
    assert not Path("itda-was-here").exists()


def test_a_million_loops_of_mmcif_are_refused(world, tmp_path_factory):
    """As an input, and as what a job names; more than the usual limit is needed to send them."""
    folder = tmp_path_factory.mktemp("loops")
    large = make_world(f"sqlite:///{folder / 'itda.db'}", folder / "home")
    try:
        cif = b"data_x\n" + b"".join(b"loop_\n_a%d.b\n1\n" % one for one in range(1_000_000))
        assert len(cif) < 32 * MEGABYTE
        client, headers = client_of(large.app), bearer(large.tokens["full"])
        job = {
            "version": 1,
            "name": "x",
            "entities": [
                {"protein": {"id": "A", "sequence": "MKV", "templates": [{"path": "a.cif"}]}}
            ],
        }
        components = {
            "version": 1,
            "name": "x",
            "components": "a.cif",
            "entities": [{"ligand": {"id": "L", "ccd": "XYZ"}}],
        }
        for text in ("", json.dumps(job), json.dumps(components)):
            parts = [("input", (None, text)), ("file", ("a.cif", cif)), ("family", (None, "mini"))]
            parts += [("project", (None, large.project.id))]
            answer = client.post(f"{API}/jobs", headers=headers, files=parts)
            assert answer.status_code in (413, 422), answer.text
    finally:
        large.services.database.close()


def test_a_fasta_of_many_records_is_refused(send):
    assert "taken at once" in send(">x\nM\n" * 100_000)


def test_the_server_still_works(world):
    client, headers = client_of(world.app), bearer(world.tokens["full"])
    answer = client.post(f"{API}/plan", headers=headers, json={"input": FASTA})
    assert answer.status_code == 200 and answer.json()["records"]
