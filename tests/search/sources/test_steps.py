import multiprocessing

import pytest

from itda.errors import OutputError
from itda.search.sources.steps import Steps
from tests.patience import PATIENCE_SECONDS

KEY = {"source": "test", "databases": [{"name": "a", "digest": "sha256:1"}]}
CONTENT = b"0.1\tMK-tA\tname\nmore\0bytes\n"


@pytest.fixture
def steps(work):
    return Steps(work, query="MKTA", key=KEY)


def test_a_step_is_found_again(steps, work):
    assert steps.read("shard-1") is None
    steps.write("shard-1", CONTENT)
    steps.write("empty", b"")
    again = Steps(work, query="MKTA", key=dict(reversed(KEY.items())))
    assert again.read("shard-1") == CONTENT
    assert again.read("empty") == b""


def test_a_step_cut_short_anywhere_is_none(steps, work):
    steps.write("shard-1", CONTENT)
    (path,) = work.glob("*.step")
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert steps.read("shard-1") is None, length
    path.write_bytes(whole)
    assert steps.read("shard-1") == CONTENT


def test_an_altered_step_is_none(steps, work):
    steps.write("shard-1", CONTENT)
    (path,) = work.glob("*.step")
    whole = path.read_bytes()
    for place in range(len(whole)):
        altered = bytearray(whole)
        altered[place] ^= 1
        path.write_bytes(bytes(altered))
        assert steps.read("shard-1") is None, place


def test_a_step_of_another_search_or_another_step_is_none(steps, work):
    steps.write("shard-1", CONTENT)
    assert Steps(work, query="MKTV", key=KEY).read("shard-1") is None
    other = {"source": "test", "databases": [{"name": "a", "digest": "sha256:2"}]}
    assert Steps(work, query="MKTA", key=other).read("shard-1") is None
    (work / "shard-1.step").rename(work / "shard-2.step")
    assert steps.read("shard-2") is None


def test_what_a_killed_search_left_half_done_goes(steps, work):
    steps.write("shard-1", CONTENT)
    (work / "scratch-abc" / "latest").mkdir(parents=True)
    (work / ".shard-2.step.x1").write_bytes(b"half")
    (work / "notes.txt").write_text("of somebody else")
    with steps.held(lambda fraction, message: None), steps.scratch() as scratch:
        assert list(scratch.iterdir()) == []
        assert sorted(path.name for path in work.iterdir()) == [
            "lock",
            "notes.txt",
            scratch.name,
            "shard-1.step",
        ]
    assert not scratch.exists()


def hold(work, started, end):
    with Steps(work, query="MKTA", key=KEY).held(lambda fraction, message: None):
        started.set()
        end.wait(30)


def test_a_second_process_waits_for_the_first(steps, work):
    context = multiprocessing.get_context("spawn")
    started, end = context.Event(), context.Event()
    first = context.Process(target=hold, args=(work, started, end))
    first.start()
    try:
        assert started.wait(PATIENCE_SECONDS)
        waited = []

        def progress(fraction, message):
            waited.append(message)
            end.set()

        with steps.held(progress):
            assert end.is_set()
        assert waited[0] == "another process makes this search; waiting for it"
    finally:
        first.kill()
        first.join()


def test_a_killed_process_holds_nothing(steps, work):
    context = multiprocessing.get_context("spawn")
    started, end = context.Event(), context.Event()
    first = context.Process(target=hold, args=(work, started, end))
    first.start()
    assert started.wait(PATIENCE_SECONDS)
    first.kill()
    first.join()
    with steps.held(lambda fraction, message: pytest.fail("waits for a dead process")):
        pass


def test_waiting_can_be_stopped(steps, work):
    def stop(fraction, message):
        raise KeyboardInterrupt

    with (
        steps.held(stop),
        pytest.raises(KeyboardInterrupt),
        Steps(work, query="MKTA", key=KEY).held(stop),
    ):
        pytest.fail("two have the folder")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    steps = Steps(tmp_path / "file" / "work", query="MK", key=KEY)
    with pytest.raises(OutputError, match="file/work"):
        steps.write("shard-1", b"")
    with pytest.raises(OutputError, match="file/work"), steps.held(lambda *_: None):
        pass
