import threading
import time

import pytest

from itda.engine.worker import with_progress


def collect(compute):
    work = with_progress(compute)
    reports = []
    while True:
        try:
            reports.append(next(work))
        except StopIteration as finished:
            return reports, finished.value


def test_reports_come_in_order_and_value_last() -> None:
    def compute(progress):
        progress(0.0, "begin")
        progress(0.5, "middle")
        return 42

    assert collect(compute) == ([(0.0, "begin"), (0.5, "middle")], 42)


def test_fractions_stay_between_0_and_1() -> None:
    def compute(progress):
        progress(-0.5, "")
        progress(1.5, "")

    assert [fraction for fraction, _ in collect(compute)[0]] == [0.0, 1.0]


def test_error_comes_through_with_its_traceback() -> None:
    def compute(progress):
        raise KeyError("inside")

    with pytest.raises(KeyError, match="inside") as caught:
        collect(compute)
    assert any(entry.name == "compute" for entry in caught.traceback)


def test_stopping_early_ends_the_thread() -> None:
    threads = []

    def compute(progress):
        threads.append(threading.current_thread())
        while True:
            progress(0.1, "round and round")
            time.sleep(0.01)

    work = with_progress(compute)
    next(work)
    work.close()
    assert not threads[0].is_alive()


def test_it_is_not_the_caller_s_thread() -> None:
    _, thread = collect(lambda progress: threading.current_thread())
    assert thread is not threading.current_thread()
