import queue
import threading
import time

import pytest

from itda.engine import crew as crew_module
from itda.engine.crew import Crew
from itda.engine.events import JobWarned


def said(name):
    return JobWarned(job=name, message="")


def test_events_of_all_threads_come_and_each_ends():
    crew = Crew()
    for name in "abc":
        crew.hire(name, lambda name=name: crew.tell(said(name), said(name)))
    assert sorted(event.job for event in crew.events()) == ["a", "a", "b", "b", "c", "c"]
    assert not [one for one in threading.enumerate() if one.name.startswith("itda-")]


def test_an_error_stops_the_others_and_reaches_the_reader():
    crew = Crew()

    def wait_for_ever():
        while True:
            crew.check()
            time.sleep(0.01)

    def fail():
        raise ValueError("nobody handled this")

    crew.hire("waits", wait_for_ever)
    crew.hire("fails", fail)
    with pytest.raises(ValueError, match="nobody handled this"):
        list(crew.events())


def test_a_reader_that_leaves_stops_all():
    crew, stopped = Crew(), threading.Event()

    def work():
        try:
            crew.tell(said("first"))
            crew.get(queue.SimpleQueue())
        finally:
            stopped.set()

    crew.hire("works", work)
    events = crew.events()
    assert next(events).job == "first"
    events.close()
    assert stopped.wait(1)


def test_a_generator_is_closed_when_work_stops():
    crew, closed = Crew(), []

    def events():
        try:
            while True:
                yield said("again")
                time.sleep(0.01)
        finally:
            closed.append(True)

    crew.hire("works", lambda: crew.tell_all(events()))
    stream = crew.events()
    next(stream)
    stream.close()
    assert closed == [True]


def test_progress_is_told_now_and_then_and_at_the_end(monkeypatch):
    crew, told = Crew(), []

    def work():
        report = crew.progress(lambda fraction, _message: told.append(fraction) or [])
        for step in range(101):
            report(step / 100, "")
        report(7.0, "")

    crew.hire("works", work)
    list(crew.events())
    assert told[0] == 0.0 and told[-1] == 1.0 and len(told) < 20
    monkeypatch.setattr(crew_module, "TELL_EVERY_SECONDS", 0.0)
    told.clear()
    crew = Crew()
    crew.hire("works", work)
    list(crew.events())
    assert len(told) == 102


def test_who_reads_may_say_stop_without_an_event():
    crew = Crew()
    ended = []

    def silent() -> None:
        crew.tell(said("a"))
        try:
            crew.get(queue.SimpleQueue())  # nothing ever comes
        finally:
            ended.append(True)

    crew.hire("silent", silent)
    asked = []

    def stop() -> bool:
        asked.append(True)
        return len(asked) > 3

    assert [event.job for event in crew.events(stop)] == ["a"]
    assert ended == [True]


def test_what_was_told_before_the_stop_still_comes():
    crew = Crew()
    told = threading.Event()

    def work() -> None:
        for name in "abc":
            crew.tell(said(name))
        told.set()

    crew.hire("work", work)
    events = crew.events(told.is_set)
    assert [event.job for event in events] == ["a", "b", "c"]
