import datetime
import email.utils
import io
import json
import tarfile

import pytest

from itda.errors import InputError
from itda.network import retry_after
from itda.search.protocol import MAIN_FILE, pack_archive
from itda.search.sources.server import ServerSource
from itda.search.sources.server_http import ServerAddress, ServerError
from itda.search.sources.server_ticket import ARCHIVE_FILE, TICKET_FILE, Pace

from .scripted_server import (
    TICKET,
    Script,
    archive,
    cut,
    hang_up,
    scripted,
    silent,
    status,
)

QUERY = "MKTAYIAKQR"
PENDING = {"id": TICKET, "status": "PENDING"}
RUNNING = {"id": TICKET, "status": "RUNNING"}
COMPLETE = {"id": TICKET, "status": "COMPLETE"}
QUICK = Pace(
    first_seconds=0.005,
    growth=1.5,
    longest_seconds=0.05,
    timeout_seconds=0.4,
    reach_seconds=0.3,
    outage_seconds=0.6,
    patience_seconds=20.0,
)


@pytest.fixture
def script():
    return Script(QUERY)


@pytest.fixture
def url(script):
    with scripted(script) as url:
        yield url


@pytest.fixture
def work(tmp_path):
    return tmp_path / "work"


def search(url, work, *, pace=QUICK, progress=lambda fraction, message: None, **options):
    return ServerSource(url, pace=pace, **options).search(QUERY, work=work, progress=progress)


def refused(url, work, **options):
    with pytest.raises(ServerError) as caught:
        search(url, work, **options)
    said = caught.value
    assert url in said.problem, "the blame must name the server"
    assert said.hint
    return said.problem


def test_ticket_poll_and_download(script, url, work):
    script.submit = [PENDING]
    script.poll = [PENDING, RUNNING, RUNNING, COMPLETE]
    heard = []
    found = search(url, work, progress=lambda fraction, message: heard.append((fraction, message)))
    assert found.names == (
        "query",
        "UniRef100_A0A249P6L0_9606/\t1",
        "UniRef100_A0A249P6L1_9606/\t1",
        "MGYP1",
    )
    assert found.texts == (QUERY, "MKTAYIAKQ-", "-KTAYIAKQR", "---------R")
    assert found.source == ("", "uniref", "uniref", "bfd.mgnify30.metaeuk30.smag30")
    assert found.species == ("", "9606", "9606", "")
    fractions = [fraction for fraction, _ in heard]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert any("queue" in message for _, message in heard)
    assert any("searching" in message for _, message in heard)


def test_the_request_is_what_colabfold_sends(script, url, work):
    search(url, work)
    assert script.asked("POST") == [
        ("POST", "/ticket/msa", {"q": f">101\n{QUERY}\n", "mode": "env"})
    ]
    assert [path for _, path, _ in script.requests] == [
        "/ticket/msa",
        f"/result/download/{TICKET}",
    ]


def test_mode_all_wants_no_environmental_file(script, url, work):
    script.download = [pack_archive({MAIN_FILE: f">101\n{QUERY}\n>a\n{QUERY[:-1]}-\n\0"})]
    found = search(url, work, mode="all")
    assert script.asked("POST")[0][2]["mode"] == "all"
    assert len(found) == 2


def test_itda_says_who_asks(script, url, work, monkeypatch):
    monkeypatch.setenv("ITDA_CONTACT", "keeper@lab.example\r\nX-Evil: 1")
    search(url, work)
    assert script.headers["User-Agent"].startswith("itda/")
    assert "keeper@lab.example" in script.headers["User-Agent"]
    assert "X-Evil" not in script.headers


@pytest.mark.parametrize(
    "limited",
    [
        status(429, {"status": "RATELIMIT", "reason": "too many"}),
        status(429, "<html><title>429 Too Many Requests</title></html>"),
        status(200, {"status": "RATELIMIT"}),
        status(503, "down for a moment"),
        status(502, "<html><title>502 Bad Gateway</title></html>"),
        {"status": "MAINTENANCE"},
        {"status": "UNKNOWN"},
        status(200, "<html><title>Sorry</title></html>"),
        status(200, "[1]"),
        status(200, ""),
        {"status": "PENDING"},
        {"id": "../../etc/passwd", "status": "PENDING"},
        hang_up,
        silent(0.6),
    ],
)
def test_passing_trouble_is_waited_out(script, url, work, limited):
    script.submit = [limited, COMPLETE]
    pace = Pace(first_seconds=0.005, timeout_seconds=0.4)
    assert len(search(url, work, pace=pace)) == 4
    assert len(script.asked("POST")) == 2


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (status(429, {"status": "RATELIMIT", "reason": "one a minute"}), "one a minute"),
        ({"status": "RATELIMIT"}, "RATELIMIT"),
        ({"status": "MAINTENANCE"}, "maintenance"),
        (status(200, "<html><title>Just a moment</title></html>"), "Just a moment"),
        (hang_up, "connection"),
        (silent(0.6), "in time"),
    ],
)
def test_lasting_trouble_is_the_servers(script, url, work, reply, said):
    script.submit = [reply]
    assert said in refused(url, work)
    assert len(script.asked("POST")) >= 1


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (status(403, "<html><title>403 Forbidden</title></html>"), "refused this machine"),
        (status(401, ""), "who asks"),
        (status(400, {"status": "ERROR", "error": "too long"}), "too long"),
        (status(404, "<title>Not Found</title>"), "does not speak the protocol"),
        (status(307, "", Location="http://elsewhere.example/"), "elsewhere.example"),
        (status(302, "", Location="http://elsewhere.example/"), "elsewhere.example"),
        ({"id": TICKET, "status": "ERROR"}, "refused the sequence"),
        ({"id": TICKET, "status": "FINE"}, "FINE"),
    ],
)
def test_a_refusal_is_believed_at_once(script, url, work, reply, said):
    script.submit = [reply]
    assert said in refused(url, work)
    assert len(script.requests) == 1


def test_nobody_there(work):
    with scripted(Script()) as url:
        pass
    assert "connection refused" in refused(url, work)


def test_pauses_grow_and_stay_below_the_cap():
    pace = Pace(first_seconds=5, growth=1.5, longest_seconds=60, jitter=0.0)
    pauses = [pace.pause(attempt, None) for attempt in range(12)]
    assert pauses[0] == 5
    assert pauses == sorted(pauses)
    assert max(pauses) == 60
    assert Pace().pause(100_000, None) <= 60 * 1.5


def test_jitter_spreads_clients():
    pauses = {Pace().pause(3, None) for _ in range(20)}
    assert len(pauses) > 10
    shortest = 5 * 1.3**3
    assert all(shortest <= pause <= shortest * 1.5 for pause in pauses)


def test_retry_after_is_honoured(script, url, work):
    script.submit = [status(429, "", Retry_After="1"), COMPLETE]
    search(url, work, pace=Pace(first_seconds=0.001, jitter=0))
    assert script.times[1] - script.times[0] >= 1


def test_retry_after_may_be_a_date():
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=10)
    header = email.utils.format_datetime(later, usegmt=True)
    assert 540 < retry_after({"Retry-After": header}) <= 600
    assert retry_after({"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}) == 0
    for nonsense in ("", "soon", "-5", "1e9"):
        assert retry_after({"Retry-After": nonsense}) is None


def test_a_server_that_asks_for_a_day_is_not_waited_for(script, url, work):
    script.submit = [status(429, "", Retry_After="86400")]
    assert "86400 s" in refused(url, work, pace=Pace(jitter=0))
    assert len(script.requests) == 1


def test_polls_are_not_more_often_than_agreed(script, url, work):
    script.submit = [PENDING]
    script.poll = [PENDING, PENDING, PENDING, COMPLETE]
    search(url, work, pace=Pace(first_seconds=0.1, growth=1, jitter=0))
    gaps = [later - earlier for earlier, later in zip(script.times, script.times[1:], strict=False)]
    assert all(gap >= 0.1 for gap in gaps[:4])


@pytest.mark.parametrize("keep", [0, 1, 40, -20, -1])
def test_a_truncated_archive_is_fetched_again(script, url, work, keep):
    whole = archive(QUERY)
    script.download = [cut(whole, keep % len(whole)), whole]
    assert len(search(url, work)) == 4
    assert len(script.asked("GET /result")) == 2


def _altered(content):
    place = len(content) // 2
    return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]


def _plain_tar(content):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo(MAIN_FILE)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.mark.parametrize(
    "damaged",
    [
        _altered(archive(QUERY)),
        archive(QUERY)[:-30],
        b"<html><title>Gateway Timeout</title></html>",
        b"",
        _plain_tar(b">101\nMKT\n")[:600],
        pack_archive({"msa.sh": "#!/bin/sh"}),
        pack_archive({MAIN_FILE: f">101\n{QUERY}\n\0"}),
    ],
    ids=["altered", "cut", "page", "empty", "half a tar", "other files", "one file of two"],
)
def test_a_damaged_archive_is_fetched_again_and_never_used(script, url, work, damaged):
    script.download = [damaged, damaged, archive(QUERY)]
    assert len(search(url, work)) == 4
    assert len(script.asked("GET /result")) == 3


def test_an_archive_that_stays_damaged_is_the_servers(script, url, work):
    script.download = [archive(QUERY)[:100]]
    assert "damaged archive 5 times" in refused(url, work)
    assert not (work / ARCHIVE_FILE).exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no alignment at all\n\0", "cannot be read"),
        (f">102\n{QUERY}\n\0", "nothing for the query"),
        (">101\nMKTAYIAKQA\n\0", "cannot be read"),
        (f">101\n{QUERY}\n>a\nMKT\n\0", "cannot be read"),
    ],
    ids=["no header", "another query's name", "another query", "short row"],
)
def test_an_unusable_alignment_is_the_servers(script, url, work, text, said):
    script.download = [pack_archive({MAIN_FILE: text})]
    assert said in refused(url, work, mode="all")


def test_blocks_end_with_null_bytes_or_without(script, url, work):
    script.download = [pack_archive({MAIN_FILE: f">101\n{QUERY}\n>a\n{QUERY[:-1]}-\n"})]
    assert len(search(url, work, mode="all")) == 2


def test_nothing_outside_the_work_folder_is_written(script, url, work, tmp_path):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in ("../evil", "/tmp/itda-evil", f"folder/{MAIN_FILE}"):
            content = f">101\n{QUERY}\n\0".encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    script.download = [packed.getvalue()]
    assert len(search(url, work, mode="all")) == 1
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        ARCHIVE_FILE,
        TICKET_FILE,
        "work",
    ]


class StoppedError(Exception):
    pass


def stop_at(word):
    def progress(fraction, message):
        if word in message:
            raise StoppedError

    return progress


def test_a_killed_client_goes_on_with_its_ticket(script, url, work):
    script.submit = [PENDING]
    script.poll = [RUNNING, COMPLETE]
    with pytest.raises(StoppedError):
        search(url, work, progress=stop_at("searching"))
    assert len(search(url, work)) == 4
    assert len(script.asked("POST")) == 1


def test_a_finished_download_is_not_fetched_again(script, url, work):
    found = search(url, work)
    before = len(script.requests)
    assert search(url, work) == found
    assert len(script.requests) == before


def test_a_damaged_kept_archive_is_not_used(script, url, work):
    search(url, work)
    (work / ARCHIVE_FILE).write_bytes(archive(QUERY)[:80])
    assert len(search(url, work)) == 4
    assert len(script.asked("GET /result")) == 2
    assert len(script.asked("POST")) == 1


@pytest.mark.parametrize(
    "kept", ["", "{", "[]", '{"id": 3}', json.dumps({"url": "x", "id": TICKET})]
)
def test_a_ticket_file_of_something_else_is_passed_over(script, url, work, kept):
    work.mkdir()
    (work / TICKET_FILE).write_text(kept)
    assert len(search(url, work)) == 4
    assert len(script.asked("POST")) == 1


def test_another_query_in_the_same_folder_gets_its_own_ticket(script, url, work):
    search(url, work)
    script.download = [archive("MKT", rows=())]
    source = ServerSource(url, pace=QUICK)
    found = source.search("MKT", work=work, progress=lambda fraction, message: None)
    assert found.query == "MKT"
    assert len(script.asked("POST")) == 2


@pytest.mark.parametrize("lost", [{"id": TICKET, "status": "UNKNOWN"}, status(404), status(400)])
def test_a_lost_ticket_is_sent_again(script, url, work, lost):
    script.submit = [PENDING, COMPLETE]
    script.poll = [lost]
    assert len(search(url, work)) == 4
    assert len(script.asked("POST")) == 2


def test_a_result_that_went_away_is_asked_for_again(script, url, work):
    script.download = [status(400, "Job is not complete"), archive(QUERY)]
    assert len(search(url, work)) == 4
    assert len(script.asked("POST")) == 2


def test_a_search_that_fails_on_the_server_is_tried_again_and_then_blamed(script, url, work):
    script.submit = [PENDING]
    script.poll = [{"id": TICKET, "status": "ERROR", "error": "out of memory"}]
    assert "out of memory, 3 times" in refused(url, work)
    assert len(script.asked("POST")) == 3
    assert not (work / TICKET_FILE).exists()


def test_trouble_while_polling_is_waited_out(script, url, work):
    script.submit = [PENDING]
    script.poll = [hang_up, status(502), status(429), {"status": "RATELIMIT"}, RUNNING, COMPLETE]
    assert len(search(url, work)) == 4
    assert len(script.asked("POST")) == 1


def test_a_ticket_that_never_ends_is_given_up(script, url, work):
    script.submit = [PENDING]
    script.poll = [RUNNING]
    pace = Pace(first_seconds=0.01, growth=1, patience_seconds=0.2)
    assert "did not finish" in refused(url, work, pace=pace)


def test_a_stop_is_heard_in_a_long_pause(script, url, work):
    script.submit = [status(429, "", Retry_After="600")]
    heard = []

    def progress(fraction, message):
        heard.append(message)
        if len(heard) == 3:
            raise StoppedError

    with pytest.raises(StoppedError):
        search(url, work, pace=Pace(), progress=progress)
    assert len(script.requests) == 1


def test_title_says_that_the_sequence_leaves():
    assert "leaves this machine" in ServerSource("https://api.colabfold.com").title
    assert "leaves" not in ServerSource("http://127.0.0.1:8765").title


def test_key_holds_the_digest_only_where_the_server_tells_it(script, url):
    assert ServerSource(url, pace=QUICK).key() == {"source": "server", "url": url, "mode": "env"}
    script.other = [{"itda": "itda/1", "digest": "abc"}]
    told = ServerSource(url, pace=QUICK).key()
    assert told["serves"] == "abc"
    script.other = [{"itda": "itda/1", "digest": "def"}]
    assert ServerSource(url, pace=QUICK).key() != told
    assert ServerSource(url, pace=QUICK, mode="all").key()["mode"] == "all"


def test_key_of_a_server_that_is_away(work):
    with scripted(Script()) as url:
        pass
    assert ServerSource(url, pace=QUICK).key() == {"source": "server", "url": url, "mode": "env"}


def test_a_token_in_the_address_is_sent_and_never_said(script, url, work):
    secret = url.replace("//", "//me:s%3Acret@")
    source = ServerSource(secret, pace=QUICK)
    assert "cret" not in source.title + repr(source.key()) + repr(source.address)
    script.submit = [status(403)]
    with pytest.raises(ServerError) as caught:
        source.search(QUERY, work=work, progress=lambda fraction, message: None)
    assert "cret" not in str(caught.value)
    assert script.headers["Authorization"] == "Basic bWU6czpjcmV0"


def test_netrc_is_read_for_its_own_host_alone(tmp_path, monkeypatch):
    file = tmp_path / "netrc"
    file.write_text("machine lab.example login me password x\ndefault login all password y\n")
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))
    assert ServerAddress.parse("https://lab.example").authorization == "Basic bWU6eA=="
    assert ServerAddress.parse("https://api.colabfold.com").authorization == ""


@pytest.mark.parametrize(
    "text", ["", "api.colabfold.com", "ftp://host", "http://", "http://host:port", "http://a?b=1"]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(InputError) as caught:
        ServerSource(text)
    assert "https://api.colabfold.com" in caught.value.hint


def test_addresses():
    address = ServerAddress.parse(" http://[::1]:8765/api/ ")
    assert address.url == "http://[::1]:8765/api"
    assert address.is_this_machine
    assert not ServerAddress.parse("http://127.example.com").is_this_machine


def pair_archive(*files):
    return pack_archive({"pair.a3m": "".join(files)})


def test_pairing(script, url, work):
    blocks = (
        ">101\nMKT\n>a_1/\nMK-\n>DUMMY\n---\n\0",
        ">102\nAYI\n>b_1/\nAY-\n>c_2/\n-YI\n\0",
        ">101\nMKT\n>e\nMKT\n\0",
        ">102\nAYI\n>f\nAYI\n\0",
    )
    script.download = [pair_archive(*blocks)]
    source = ServerSource(url, pace=QUICK)
    first, second = source.pair(["MKT", "AYI"], work=work, progress=lambda fraction, message: None)
    assert first.texts == ("MKT", "MK-", "---", "MKT")
    assert second.texts == ("AYI", "AY-", "-YI", "AYI")
    assert script.asked("POST") == [
        ("POST", "/ticket/pair", {"q": ">101\nMKT\n>102\nAYI\n", "mode": "pairgreedy-env"})
    ]


def test_pairing_of_unequal_rows_is_refused(script, url, work):
    script.download = [pair_archive(">101\nMKT\n>a\nMK-\n\0", ">102\nAYI\n\0")]
    with pytest.raises(ServerError, match="unequal numbers of paired rows: 2, 1"):
        ServerSource(url, pace=QUICK).pair(
            ["MKT", "AYI"], work=work, progress=lambda fraction, message: None
        )


def test_pairing_needs_two_sequences(tmp_path):
    with pytest.raises(InputError, match="two distinct"):
        ServerSource("http://127.0.0.1:9").pair(
            ["MKT", "MKT"], work=tmp_path, progress=lambda fraction, message: None
        )
