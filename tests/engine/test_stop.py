"""When work that was asked to stop does."""

from __future__ import annotations

from itda.engine.stop import Stop


def test_it_stops_at_the_end_of_a_stage_or_after_its_grace():
    now = [0.0]
    stop = Stop(clock=lambda: now[0])
    stop.stage_ended()  # before it was asked
    assert not stop()
    stop.ask(10.0)
    assert stop.asked
    assert not stop()
    now[0] = 10.0
    assert stop()

    stop = Stop(clock=lambda: now[0])
    stop.ask(10.0)
    stop.stage_ended()
    assert stop()


def test_a_later_word_may_only_shorten_the_grace():
    now = [0.0]
    stop = Stop(clock=lambda: now[0])
    stop.ask(10.0)
    stop.ask(600.0)
    now[0] = 10.0
    assert stop()
    stop = Stop(clock=lambda: now[0])
    stop.ask(600.0)
    stop.ask()
    assert stop()
