"""The server as clients see it: by sockets, by Itda's own client, and by ColabFold's requests."""

import base64
import contextlib
import http.client
import io
import json
import socket
import tarfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from itda.errors import DataError, OutputError
from itda.search.service.http import SearchServer
from itda.search.service.limits import Limits
from itda.search.sources.server import ServerSource
from itda.search.sources.server_http import ServerError
from itda.search.sources.server_ticket import Pace
from tests.patience import PATIENCE_SECONDS

from .fakes import FakeSource, serving

SEQUENCES = ["MKTAYIAKQR", "AYIAKQR"]
PACE = Pace(first_seconds=0.01, reach_seconds=2, outage_seconds=2)


@pytest.fixture
def source():
    return FakeSource()


def nothing(fraction, message):
    pass


def ask(url, data=None, **headers):
    """Return status, JSON and headers."""
    request = urllib.request.Request(url, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as reply:
            return reply.status, json.load(reply), reply.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error), error.headers


def form(**fields):
    return urllib.parse.urlencode(fields).encode()


def test_our_own_client(source, tmp_path):
    with serving(source, tmp_path / "data") as (_, url):
        client = ServerSource(url, pace=PACE)
        key = client.key()
        found = client.search(SEQUENCES[0], work=tmp_path / "work", progress=nothing)
    direct = source.search(SEQUENCES[0], work=tmp_path, progress=nothing)
    assert found.texts == direct.texts
    assert found.species == direct.species == ("", "9606", "10090")
    assert "serves" in key
    source.version = 2
    with serving(source, tmp_path / "data") as (_, url):
        assert ServerSource(url, pace=PACE).key()["serves"] != key["serves"]


def test_our_own_client_pairs(source, tmp_path):
    with serving(source, tmp_path / "data") as (_, url):
        first, second = ServerSource(url, pace=PACE).pair(
            SEQUENCES, work=tmp_path / "work", progress=nothing
        )
        assert first.species == second.species == ("", "9606", "10090")
        source.names = ("a", "b")
        source.version = 2
        with pytest.raises(ServerError, match="species"):
            ServerSource(url, pace=PACE).pair(SEQUENCES, work=tmp_path / "again", progress=nothing)


def test_a_server_that_is_stopped_and_started_goes_on(source, tmp_path):
    source.gate = threading.Event()
    alignments = []
    pace = Pace(first_seconds=0.01, longest_seconds=0.05)
    with serving(source, tmp_path / "data") as (_, url):
        client = ServerSource(url, pace=pace)
        thread = threading.Thread(
            target=lambda: alignments.append(
                client.search(SEQUENCES[0], work=tmp_path / "work", progress=nothing)
            )
        )
        thread.start()
        while not source.searched:
            time.sleep(0.005)
    source.gate.set()
    port = urllib.parse.urlsplit(url).port
    from itda.search.service.service import SearchService

    service = SearchService(source, tmp_path / "data")
    server = SearchServer(service, "127.0.0.1", port)
    runner = threading.Thread(target=server.serve_forever)
    runner.start()
    service.start()
    thread.join(PATIENCE_SECONDS)
    server.shutdown()
    runner.join()
    server.server_close()
    service.stop()
    assert [len(alignment) for alignment in alignments] == [3]


# What run_mmseqs2 of ColabFold 1.6.2 sends through requests 2.34; the address is put in.
COLABFOLD_SUBMIT = (
    b"POST /ticket/msa HTTP/1.1\r\n"
    b"Host: %(host)s\r\n"
    b"User-Agent: colabfold/1.6.2\r\n"
    b"Accept-Encoding: gzip, deflate\r\n"
    b"Accept: */*\r\n"
    b"Connection: keep-alive\r\n"
    b"Content-Length: 52\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n"
    b"\r\n"
    b"q=%%3E101%%0AMKTAYIAKQR%%0A%%3E102%%0AAYIAKQR%%0A&mode=env"
)
COLABFOLD_GET = (
    b"GET %(path)s HTTP/1.1\r\n"
    b"Host: %(host)s\r\n"
    b"User-Agent: colabfold/1.6.2\r\n"
    b"Accept-Encoding: gzip, deflate\r\n"
    b"Accept: */*\r\n"
    b"Connection: keep-alive\r\n"
    b"\r\n"
)


def raw(url, request, **fields):
    address = urllib.parse.urlsplit(url)
    values = {b"host": address.netloc.encode()}
    values |= {name.encode(): value.encode() for name, value in fields.items()}
    with socket.create_connection(
        (address.hostname, address.port), timeout=PATIENCE_SECONDS
    ) as connection:
        connection.sendall(request % values)
        reply = http.client.HTTPResponse(connection)
        reply.begin()
        return reply.status, reply.read()


def test_colabfolds_requests_byte_by_byte(source, tmp_path):
    with serving(source, tmp_path / "data") as (_, url):
        code, body = raw(url, COLABFOLD_SUBMIT)
        assert code == 200
        ticket = json.loads(body)
        assert ticket["status"] in ("PENDING", "RUNNING", "COMPLETE")
        until = time.monotonic() + PATIENCE_SECONDS
        while ticket["status"] != "COMPLETE":
            assert time.monotonic() < until
            code, body = raw(url, COLABFOLD_GET, path=f"/ticket/{ticket['id']}")
            ticket = json.loads(body)
            assert ticket["status"] in ("PENDING", "RUNNING", "COMPLETE")
            time.sleep(0.01)
        code, body = raw(url, COLABFOLD_GET, path=f"/result/download/{ticket['id']}")
    assert code == 200
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        archive.extractall(tmp_path / "out", filter="data")
    assert _as_colabfold_reads(tmp_path / "out", SEQUENCES) == [
        f">{number}\n{query}\n>UniRef100_A0A249P6L0_9606/\t12\n{query[:-1]}aa-\n"
        f">sp|P04637|P53_MOUSE OX=10090\n-{query[1:]}\n>{number}\n{query}\n"
        for number, query in ((101, SEQUENCES[0]), (102, SEQUENCES[1]))
    ]


def _as_colabfold_reads(folder, sequences):
    """Gather the lines of each query as ColabFold does: a null byte begins the next one."""
    gathered = {}
    for name in ("uniref.a3m", "bfd.mgnify30.metaeuk30.smag30.a3m"):
        number, fresh = None, True
        with (folder / name).open() as lines:
            for line in lines:
                if "\0" in line:
                    line, fresh = line.replace("\0", ""), True
                if line.startswith(">") and fresh:
                    number, fresh = int(line[1:].rstrip()), False
                gathered.setdefault(number, []).append(line)
    return ["".join(gathered[101 + index]) for index in range(len(sequences))]


def test_colabfolds_own_client(source, tmp_path, monkeypatch):
    colabfold = pytest.importorskip("colabfold.colabfold")
    monkeypatch.setattr(colabfold.time, "sleep", lambda seconds: threading.Event().wait(0.05))
    with serving(source, tmp_path / "data") as (_, url):
        found = colabfold.run_mmseqs2(
            [*SEQUENCES, SEQUENCES[0]], str(tmp_path / "a"), host_url=url, user_agent="test"
        )
        pairs = colabfold.run_mmseqs2(
            SEQUENCES, str(tmp_path / "b"), host_url=url, use_pairing=True, user_agent="test"
        )
        _, templates = colabfold.run_mmseqs2(
            SEQUENCES, str(tmp_path / "c"), host_url=url, use_templates=True, user_agent="test"
        )
        with pytest.raises(Exception, match="giving errors"):
            colabfold.run_mmseqs2("M*K", str(tmp_path / "d"), host_url=url, user_agent="test")
    assert [text.splitlines()[0] for text in found] == [">101", ">102", ">101"]
    assert [text.count(">") for text in found] == [4, 4, 4]
    assert [text.count(">") for text in pairs] == [3, 3]
    assert templates == [None, None]


def test_forms_may_be_multipart(source, tmp_path):
    body = (
        b'--B\r\nContent-Disposition: form-data; name="q"; filename="q.fasta"\r\n'
        b"Content-Type: text/plain\r\n\r\n>101\nMKV\n\r\n"
        b'--B\r\nContent-Disposition: form-data; name="mode"\r\n\r\nall\r\n--B--\r\n'
    )
    with serving(source, tmp_path) as (service, url):
        headers = {"Content-Type": "multipart/form-data; boundary=B"}
        code, ticket, _ = ask(f"{url}/ticket/msa", body, **headers)
        assert code == 200
        assert service.tickets.get(ticket["id"]).queries == (("101", "MKV"),)


_MULTIPART = "multipart/form-data; boundary="
UNREADABLE = (
    b'--B\r\nContent-Disposition: form-data; name="q"; filename="q"\r\n\r\n\xff\xfe\r\n--B--\r\n'
)


@pytest.mark.parametrize(
    ("path", "data", "headers", "code", "said"),
    [
        ("ticket/msa", form(q=">1\nM*", mode="env"), {}, 400, "no residue"),
        ("ticket/msa", form(q=">1\nMK", mode="env-nofilter"), {}, 400, "nofilter"),
        ("ticket/msa", form(mode="env"), {}, 400, "no sequence"),
        ("ticket/pair", form(q=">1\nMK", mode="pairgreedy"), {}, 400, "two sequences"),
        ("ticket", form(q=">1\nMK"), {}, 404, "not served"),
        ("elsewhere", None, {}, 404, "nothing at"),
        ("ticket/msa", b"{}", {"Content-Type": "application/json"}, 415, "multipart"),
        ("ticket/msa", b"q=%FF%FE", {}, 400, "residue|read|sequence|line 1"),
        ("ticket/msa", b"q=" + b"A" * 200_000, {}, 413, "is the most"),
        ("result/download/nothing", None, {}, 400, "not complete"),
        ("ticket/type/nothing", None, {}, 400, "no such ticket"),
        ("ticket/nothing", form(q=">1\nMK"), {}, 404, "not served"),
        ("ticket/msa", b"", {"Content-Type": "multipart/form-data"}, 400, "[Bb]oundary"),
        ("ticket/msa", UNREADABLE, {"Content-Type": f"{_MULTIPART}B"}, 400, "cannot be read"),
    ],
)
def test_refusals_are_json_and_named(source, tmp_path, path, data, headers, code, said):
    import re

    limits = Limits(max_length=1000, max_sequences=2)
    with serving(source, tmp_path, limits=limits) as (_, url):
        got, content, _ = ask(f"{url}/{path}", data, **headers)
    assert (got, content["status"]) == (code, "ERROR")
    assert re.search(said, content["error"])
    assert source.searched == []


@pytest.mark.parametrize(
    "written", ["//ticket/msa", "/ticket/msa/", "//ticket/msa//", "http://elsewhere:1/ticket/msa"]
)
def test_slashes_around_a_path_and_a_host_before_it(source, tmp_path, written):
    body = form(q=">1\nMKTAYIAKQR\n", mode="env")
    sent = {"Content-Type": "application/x-www-form-urlencoded"}
    with serving(source, tmp_path / "data") as (_, url):
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc)
        with contextlib.closing(connection):
            answers = []
            for path in ("/ticket/msa", written):
                connection.request("POST", path, body, sent)
                reply = connection.getresponse()
                answers.append((reply.status, json.load(reply).get("id")))
            connection.request("GET", written.replace("ticket/msa", "queue"))
            queue = connection.getresponse()
            assert queue.status == 200 and "queued" in json.load(queue)
    assert answers[0] == answers[1] and answers[0][0] == 200


@pytest.mark.parametrize("written", ["//queue/", "http://elsewhere:1/queue"])
def test_no_way_of_writing_a_path_goes_round_the_token(source, tmp_path, written):
    with serving(source, tmp_path / "data", token="secret") as (_, url):
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc)
        with contextlib.closing(connection):
            connection.request("GET", written)
            assert connection.getresponse().status == 401


def test_other_methods_are_refused_in_the_same_form(source, tmp_path):
    with serving(source, tmp_path) as (_, url):
        code, body = raw(url, b"DELETE /queue HTTP/1.1\r\nHost: %(host)s\r\n\r\n")
    assert (code, json.loads(body)["status"]) == (405, "ERROR")


def test_a_body_that_is_not_read_is_no_request(source, tmp_path):
    inner = b"GET /queue HTTP/1.1\r\nHost: x\r\n\r\n"
    head = b"POST /elsewhere HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(inner)
    with serving(source, tmp_path) as (_, url):
        address = urllib.parse.urlsplit(url)
        with socket.create_connection(
            (address.hostname, address.port), timeout=PATIENCE_SECONDS
        ) as connection:
            connection.sendall(head + inner)
            got = b""
            while chunk := connection.recv(4096):
                got += chunk
    assert got.startswith(b"HTTP/1.1 404 ")
    assert got.count(b"HTTP/1.1 ") == 1


def test_a_body_without_a_length_is_refused(source, tmp_path):
    sent = (
        b"POST /ticket/msa HTTP/1.1\r\nHost: %(host)s\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n\r\n2\r\nq=\r\n0\r\n\r\n"
    )
    with serving(source, tmp_path) as (_, url):
        code, body = raw(url, sent)
    assert (code, json.loads(body)["error"]) == (411, "say Content-Length")


def test_tickets_that_cannot_be_kept_are_maintenance(source, tmp_path, monkeypatch):
    said = []
    with serving(source, tmp_path, log=said.append) as (service, url):

        def full(ticket):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(service.tickets, "add", full)
        code, content, headers = ask(f"{url}/ticket/msa", form(q=">1\nMK", mode="env"))
    assert (code, content["status"], headers["Retry-After"]) == (503, "MAINTENANCE", "60")
    assert any("No space left" in line for line in said)


def test_a_result_that_was_removed(source, tmp_path):
    with serving(source, tmp_path) as (service, url):
        ticket = ask(f"{url}/ticket/msa", form(q=">1\nMK", mode="env"))[1]
        until = time.monotonic() + PATIENCE_SECONDS
        while ask(f"{url}/ticket/{ticket['id']}/")[1]["status"] != "COMPLETE":
            assert time.monotonic() < until
        service.tickets.archive(ticket["id"]).unlink()
        code, content, _ = ask(f"{url}/result/download/{ticket['id']}")
    assert (code, content["status"]) == (400, "ERROR")
    assert "not there any more" in content["error"]


def test_unknown_tickets(source, tmp_path):
    with serving(source, tmp_path) as (_, url):
        for identity in ("x", "a" * 38, "%2e%2e%2fdata"):
            assert ask(f"{url}/ticket/{identity}")[1]["status"] == "UNKNOWN"


def test_limits_are_429_with_a_time(source, tmp_path):
    limits = Limits(burst=1, rate_per_minute=1)
    with serving(source, tmp_path, limits=limits) as (_, url):
        assert ask(f"{url}/ticket/msa", form(q=">1\nMK", mode="env"))[0] == 200
        code, content, headers = ask(f"{url}/ticket/msa", form(q=">1\nMV", mode="env"))
    assert (code, content["status"]) == (429, "RATELIMIT")
    assert 1 <= int(headers["Retry-After"]) <= 60


def test_clients_behind_a_proxy_are_told_apart(source, tmp_path):
    limits = Limits(burst=1, rate_per_minute=1)
    with serving(source, tmp_path, limits=limits, behind_proxy=True) as (_, url):
        codes = [
            ask(
                f"{url}/ticket/msa",
                form(q=f">1\n{letter}K", mode="env"),
                **{"X-Forwarded-For": f"1.2.3.4, 10.0.0.{client}"},
            )[0]
            for letter, client in (("M", 1), ("A", 2), ("V", 1))
        ]
    assert codes == [200, 200, 429]


def test_a_proxy_that_writes_a_line_of_its_own(source, tmp_path):
    limits = Limits(burst=1, rate_per_minute=1)
    request = (
        b"POST /ticket/msa HTTP/1.1\r\nHost: %(host)s\r\nX-Forwarded-For: %(forged)s\r\n"
        b"X-Forwarded-For: 10.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: 20\r\n\r\nq=%%3E1%%0A%(letter)sK&mode=env"
    )
    with serving(source, tmp_path, limits=limits, behind_proxy=True) as (_, url):
        codes = [
            raw(url, request, forged=forged, letter=letter)[0]
            for letter, forged in (("M", "1.1.1.1"), ("A", "2.2.2.2"))
        ]
    assert codes == [200, 429]


def test_broken_databases_are_maintenance(source, tmp_path):
    source.broken = DataError("database x is missing")
    with serving(source, tmp_path) as (_, url):
        code, content, headers = ask(f"{url}/ticket/msa", form(q=">1\nMK", mode="env"))
        assert (code, content["status"]) == (503, "MAINTENANCE")
        assert headers["Retry-After"] == "300"
        assert ask(f"{url}/source")[0] == 503


def test_queue_and_source(source, tmp_path):
    source.gate = threading.Event()
    with serving(source, tmp_path) as (_, url):
        for letter in "MAV":
            ticket = ask(f"{url}/ticket/msa", form(q=f">1\n{letter}K", mode="env"))[1]
        until = time.monotonic() + PATIENCE_SECONDS
        while (state := ask(f"{url}/queue")[1])["running"] < 1:
            assert time.monotonic() < until
        assert (state["queued"], state["running"]) == (2, 1)
        assert ask(f"{url}/ticket/type/{ticket['id']}")[1] == {"type": "msa"}
        assert ask(f"{url}/source")[1]["title"] == source.title
        source.gate.set()


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("", 401),
        ("Bearer wrong", 401),
        ("Basic !!!", 401),
        ("Basic " + base64.b64encode(b"me:wrong").decode(), 401),
        ("Bearer s:cret", 200),
        ("Basic " + base64.b64encode(b"anybody:s:cret").decode(), 200),
    ],
)
def test_token(source, tmp_path, given, code):
    headers = {"Authorization": given} if given else {}
    with serving(source, tmp_path, token="s:cret") as (_, url):
        assert ask(f"{url}/queue", **headers)[0] == code
        posted = ask(f"{url}/ticket/msa", form(q=">1\nMK", mode="env"), **headers)[0]
        assert posted == code


def test_our_own_client_gives_the_token(source, tmp_path):
    with serving(source, tmp_path / "data", token="s:cret") as (_, url):
        secret = url.replace("//", "//:s%3Acret@")
        found = ServerSource(secret, pace=PACE).search(
            "MKV", work=tmp_path / "work", progress=nothing
        )
        assert len(found) == 3
        with pytest.raises(ServerError, match="who asks"):
            ServerSource(url, pace=PACE).search("MKV", work=tmp_path / "w", progress=nothing)


def test_a_port_that_is_taken(source, tmp_path):
    with serving(source, tmp_path) as (service, url):
        port = urllib.parse.urlsplit(url).port
        with pytest.raises(OutputError, match="cannot listen"):
            SearchServer(service, "203.0.113.1", port)


def test_a_client_that_sends_half_a_request_does_no_harm(source, tmp_path):
    with serving(source, tmp_path) as (_, url):
        address = urllib.parse.urlsplit(url)
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.sendall(b"POST /ticket/msa HTTP/1.1\r\nContent-Length: 100\r\n\r\nq=")
        assert ask(f"{url}/queue")[0] == 200
