import os
import threading
import time

import pytest

from itda.errors import DataError, InputError, OutputError
from itda.search.protocol import Status, read_archive, split_blocks
from itda.search.service.limits import Limits, RateLimiter
from itda.search.service.service import RefusedError, SearchService
from itda.search.service.tickets import Ticket, TicketTable
from tests.patience import PATIENCE_SECONDS

from .fakes import FakeManySource, FakeSource

QUERY = ">101\nMKTAYIAKQR\n"
UNIREF = "uniref.a3m"


@pytest.fixture
def source():
    return FakeSource()


@pytest.fixture
def start(source, tmp_path):
    """Start services over one folder; all are stopped at the end."""
    running = []

    def begin(own=None, **options):
        service = SearchService(own or source, tmp_path / "data", **options)
        service.start()
        running.append(service)
        return service

    yield begin
    for service in running:
        if not service._stop.is_set():
            service.stop()


def wait(service, ticket, *statuses):
    statuses = statuses or (Status.COMPLETE, Status.ERROR)
    until = time.monotonic() + PATIENCE_SECONDS
    while (now := service.tickets.get(ticket.id)).status not in statuses:
        assert time.monotonic() < until, now
        time.sleep(0.005)
    return now


def submit(service, query=QUERY, mode="env", kind="msa", client="10.0.0.1"):
    return service.submit(kind, query, mode, client)


def test_a_ticket_runs_to_its_archive(start, source):
    service = start()
    ticket = submit(service)
    assert ticket.status is Status.PENDING
    assert wait(service, ticket).status is Status.COMPLETE
    files = read_archive(
        service.tickets.archive(ticket.id), [UNIREF, "bfd.mgnify30.metaeuk30.smag30.a3m"]
    )
    (block,) = split_blocks(files[UNIREF])["101"]
    assert block == (
        ">101\nMKTAYIAKQR\n>UniRef100_A0A249P6L0_9606/\t12\nMKTAYIAKQaa-\n"
        ">sp|P04637|P53_MOUSE OX=10090\n-KTAYIAKQR\n"
    )
    assert files["bfd.mgnify30.metaeuk30.smag30.a3m"] == ">101\nMKTAYIAKQR\n\0"
    until = time.monotonic() + PATIENCE_SECONDS
    while service.state()["done"] < 1:
        assert time.monotonic() < until
        time.sleep(0.005)


def test_an_equal_request_costs_nothing(start, source):
    service = start(limits=Limits(burst=1, rate_per_minute=0.01))
    first = submit(service)
    wait(service, first)
    again = submit(service)
    assert again.id == first.id
    assert again.status is Status.COMPLETE
    assert source.searched == ["MKTAYIAKQR"]


def test_a_sequence_in_another_ticket_is_not_searched_again(start, source):
    service = start()
    wait(service, submit(service))
    ticket = submit(service, ">7\nMKV\n>8\nMKTAYIAKQR\n", mode="all")
    assert wait(service, ticket).status is Status.COMPLETE
    assert source.searched == ["MKTAYIAKQR", "MKV"]
    files = read_archive(service.tickets.archive(ticket.id), [UNIREF])
    assert list(split_blocks(files[UNIREF])) == ["7", "8"]


FIVE = [f"MKTAYIAKQR{letter}" for letter in "ACDEF"]


def many(*sequences):
    return "".join(f">{101 + number}\n{text}\n" for number, text in enumerate(sequences))


def test_sequences_of_a_ticket_are_searched_together(start):
    source = FakeManySource()
    service = start(source)
    first = submit(service, many(FIVE[1]))
    assert wait(service, first).status is Status.COMPLETE
    # One is known, one comes twice.
    ticket = submit(service, many(*FIVE, FIVE[0]))
    assert wait(service, ticket).status is Status.COMPLETE
    assert source.calls == [[FIVE[1]], [FIVE[0], FIVE[2], FIVE[3]], [FIVE[4]]]
    blocks = split_blocks(read_archive(service.tickets.archive(ticket.id), [UNIREF])[UNIREF])
    assert [block[0].splitlines()[1] for block in blocks.values()] == [*FIVE, FIVE[0]]


def test_a_sequence_that_fails_costs_the_others_of_its_ticket_nothing(start):
    source = FakeManySource()
    source.failing = {FIVE[1]}
    service = start(source)
    ticket = submit(service, many(*FIVE[:3]))
    ended = wait(service, ticket)
    assert ended.status is Status.ERROR and ended.error == f"cannot search {FIVE[1]}"
    source.failing = set()
    assert wait(service, submit(service, many(*FIVE[:3]))).status is Status.COMPLETE
    assert source.calls[1:] == [[FIVE[1]]]


def test_two_workers_search_one_sequence_once(start, source):
    source.gate = threading.Event()
    service = start(workers=2)
    first, second = submit(service), submit(service, mode="all")
    while service.state()["running"] < 2:
        time.sleep(0.005)
    source.gate.set()
    wait(service, first)
    wait(service, second)
    assert source.searched == ["MKTAYIAKQR"]


def test_changed_databases_are_searched_anew(start, source):
    service = start()
    wait(service, submit(service))
    source.version = 2
    ticket = submit(service)
    assert ticket.status is Status.PENDING
    wait(service, ticket)
    assert len(source.searched) == 2


def test_a_restart_loses_nothing(start, source):
    source.gate = threading.Event()
    service = start()
    running, waiting = submit(service), submit(service, ">1\nMKV\n")
    wait(service, running, Status.RUNNING)
    service.stop()
    assert source.searched == ["MKTAYIAKQR"]
    source.gate = None
    service = start()
    assert wait(service, running).status is Status.COMPLETE
    assert wait(service, waiting).status is Status.COMPLETE
    assert source.searched == ["MKTAYIAKQR", "MKTAYIAKQR", "MKV"]
    service.stop()
    service = start()
    assert submit(service).status is Status.COMPLETE


def test_a_killed_server_leaves_a_ticket_that_waits(tmp_path):
    table = TicketTable(tmp_path)
    for number, mark in enumerate("ba"):
        table.add(Ticket(mark * 38, "msa", "env", (("101", "MKT"),), "s", submitted=number))
    assert table.take(0).id == "b" * 38
    after = TicketTable(tmp_path)
    assert after.get("b" * 38).status is Status.PENDING
    assert [after.take(0).id, after.take(0).id] == ["b" * 38, "a" * 38]
    assert after.take(0) is None


def test_a_torn_or_foreign_ticket_is_none(tmp_path):
    table = TicketTable(tmp_path)
    table.add(Ticket("a" * 38, "msa", "env", (("101", "MKT"),), "s", submitted=1.0))
    path = tmp_path / "aa" / ("a" * 38) / "ticket.json"
    path.write_text(path.read_text()[:-9])
    assert table.get("a" * 38) is None
    assert table.get("../../../etc/passwd") is None
    assert TicketTable(tmp_path).waiting == 0


def test_a_complete_ticket_without_its_archive_is_searched_again(start, source):
    service = start()
    ticket = submit(service)
    wait(service, ticket)
    service.tickets.archive(ticket.id).unlink()
    assert submit(service).status is not Status.COMPLETE
    wait(service, ticket)
    assert service.tickets.archive(ticket.id).is_file()


def test_a_damaged_alignment_of_the_cache_is_not_used(start, source, tmp_path):
    service = start()
    wait(service, submit(service))
    (kept,) = (tmp_path / "data" / "alignments").glob("*/*.a3m")
    kept.write_text(">query\nMKT")
    wait(service, submit(service, mode="all"))
    assert len(source.searched) == 2


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (DataError("/secret/folder is broken", hint="mend it"), "the search failed on the server"),
        (ZeroDivisionError("division by zero"), "the search failed on the server"),
        (InputError("rows carry no species"), "rows carry no species"),
    ],
)
def test_a_failure_is_told_to_the_client_without_folders(start, source, error, told):
    lines = []
    service = start(log=lines.append)
    source.error = error
    ticket = wait(service, submit(service))
    assert ticket.status is Status.ERROR
    assert told in ticket.error
    assert "/secret" not in ticket.error
    assert any(str(error).splitlines()[0] in line for line in lines)
    source.error = None
    assert wait(service, submit(service)).status is Status.COMPLETE


def test_a_failing_ticket_leaves_the_others_alone(start, source):
    service = start()
    source.error = ZeroDivisionError("no")
    first = submit(service)
    wait(service, first)
    source.error = None
    assert service.state()["failed"] == 1
    assert wait(service, submit(service, ">1\nMKV\n")).status is Status.COMPLETE


def refusal(service, *arguments, **options):
    with pytest.raises(RefusedError) as caught:
        submit(service, *arguments, **options)
    return caught.value


def test_what_is_too_much_is_refused(start, source):
    source.gate = threading.Event()
    limits = Limits(max_length=10, max_sequences=1, max_queue=1, burst=3, rate_per_minute=60)
    service = start(limits=limits)
    assert refusal(service, ">1\nMKTAYIAKQRA\n").status is Status.ERROR
    assert refusal(service, ">1\nMK\n>2\nMV\n").status is Status.ERROR
    first = submit(service)
    wait(service, first, Status.RUNNING)
    second = submit(service, ">1\nMK\n")
    full = refusal(service, ">1\nMV\n")
    assert full.status is Status.RATELIMIT
    assert "1 tickets wait" in full.reason
    assert full.retry_after_seconds > 0
    source.gate.set()
    wait(service, second)
    wait(service, submit(service, ">1\nMV\n"))
    limited = refusal(service, ">1\nMA\n")
    assert limited.status is Status.RATELIMIT
    assert 0 < limited.retry_after_seconds <= 1
    assert submit(service, ">1\nMA\n", client="10.0.0.2")


def test_databases_that_cannot_be_used_are_maintenance(start, source):
    service = start()
    source.broken = DataError("database x: /secret/x is missing")
    told = refusal(service)
    assert told.status is Status.MAINTENANCE
    assert "secret" not in told.reason


def test_one_server_a_folder(start, source, tmp_path):
    start()
    with pytest.raises(OutputError, match="another search server"):
        SearchService(source, tmp_path / "data")


def test_a_folder_that_cannot_be_made(source, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        SearchService(source, tmp_path / "file" / "data")


def test_old_results_go_and_asked_ones_stay(start, source, tmp_path):
    service = start()
    old, new = submit(service), submit(service, ">1\nMKV\n")
    wait(service, old)
    wait(service, new)
    assert service.tickets.sweep(3600) == service.alignments.sweep(3600) == 0
    for path in (tmp_path / "data" / "tickets").rglob("ticket.json"):
        os.utime(path, (0, 0))
    service.tickets.touch(new.id)
    assert service.tickets.sweep(3600) == 1
    assert service.tickets.get(old.id) is None
    assert service.tickets.get(new.id).status is Status.COMPLETE
    assert service.alignments.sweep(0) == 2
    assert not list((tmp_path / "data" / "alignments").glob("*/*.a3m"))


def test_work_folders_go_with_the_search(start, source, tmp_path):
    service = start()
    wait(service, submit(service))
    assert list((tmp_path / "data" / "work").iterdir()) == []


def test_rate_limiter_gives_tokens_back():
    now = [0.0]
    limiter = RateLimiter(60, 2, clock=lambda: now[0])
    assert [limiter.take("a"), limiter.take("a")] == [0, 0]
    assert limiter.take("a") == pytest.approx(1.0)
    assert limiter.take("b") == 0
    now[0] = 0.75
    assert limiter.take("a") == pytest.approx(0.25)
    now[0] = 1.0
    assert limiter.take("a") == 0
    assert limiter.take("a") == pytest.approx(1.0)
    now[0] = 1000
    assert [limiter.take("a"), limiter.take("a")] == [0, 0]
    assert limiter.take("a") > 0


def test_rate_limiter_forgets_clients_that_are_full_again():
    now = [0.0]
    limiter = RateLimiter(60, 2, clock=lambda: now[0])
    for number in range(10_001):
        limiter.take(str(number))
    now[0] = 10
    limiter.take("new")
    assert len(limiter._buckets) == 1
