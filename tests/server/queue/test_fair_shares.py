"""Shares of device time follow the weights, whatever is asked for; only the clock is simulated."""

from __future__ import annotations

import pytest

from itda.server.queue import shares
from itda.server.queue.records import Capacity, Priority

from .simulation import HOUR, SCENES, Demand, Simulation, deviations

MOST_DEVIATION = 0.05


@pytest.mark.parametrize("column", SCENES)
def test_shares_follow_the_weights(lab, column, capsys):
    demands, weights = SCENES[column](lab)
    simulation = Simulation(lab, demands)
    simulation.run(8 * HOUR)
    used = simulation.used(column)
    found = deviations(used, weights)
    with capsys.disabled():
        print(f"\n{column}: " + ", ".join(f"{one:+.2%}" for one in found.values()))
    # A share is owed only to those who always have a job waiting.
    assert set(simulation.waiting()) == {demand.person.user_id for demand in demands}
    assert sum(used.values()) == pytest.approx(4 * 8 * HOUR, rel=0.03)
    assert all(abs(one) < MOST_DEVIATION for one in found.values()), found


def test_projects_of_the_organisations_scene_share_by_their_own_weights(lab):
    demands, _ = SCENES["organisation_id"](lab)
    simulation = Simulation(lab, demands)
    simulation.run(3 * HOUR)
    used = simulation.used("project_id")
    light, other = (used[one.person.project_id] for one in demands[:2])
    assert light / other < 0.1


def test_another_weight_gives_another_share(lab):
    demands, weights = SCENES["project_id"](lab)
    simulation = Simulation(lab, demands)
    simulation.run(2 * HOUR)
    equal = dict.fromkeys(weights, 1.0)
    found = deviations(simulation.used("project_id"), equal)
    assert max(abs(one) for one in found.values()) > MOST_DEVIATION


def test_what_nobody_asks_for_goes_to_those_who_ask(lab):
    busy, away = lab.person("busy"), lab.person("away", weight=10.0)
    demands = [
        Demand(busy, 200, 8 * HOUR, (600.0, 600.0)),
        Demand(away, 4, 8 * HOUR, (600.0, 600.0)),
    ]
    simulation = Simulation(lab, demands)
    simulation.run(2 * HOUR)
    used = simulation.used("user_id")
    assert used[away.user_id] == pytest.approx(4 * 600.0)
    assert sum(used.values()) == pytest.approx(4 * 2 * HOUR)


def test_who_was_away_is_not_owed_all_of_the_past(lab):
    """Use is forgotten with time: after many half-lives both begin anew."""
    early, late = lab.person("early"), lab.person("late")
    simulation = Simulation(lab, [Demand(early, 200, 90 * 86400.0, (600.0, 600.0))])
    simulation.run(4 * HOUR)
    simulation.close()
    lab.now += 12 * shares.HALF_LIFE_SECONDS
    simulation = Simulation(
        lab,
        [Demand(one, 200, 90 * 86400.0, (600.0, 600.0)) for one in (early, late)],
    )
    simulation.run(4 * HOUR)
    weights = {early.user_id: 1.0, late.user_id: 1.0}
    found = deviations(simulation.used("user_id"), weights)
    assert all(abs(one) < MOST_DEVIATION for one in found.values()), found


def test_claims_at_one_moment_spread(lab):
    """What runs counts at once as what is predicted for it."""
    people = [lab.person(name) for name in ("one", "two", "three", "four")]
    for person in people:
        lab.submit(person, *(f"job {number}" for number in range(4)))
    workers = [lab.worker() for _ in range(8)]
    owners = [lab.claim(worker).job.user_id for worker in workers]
    assert sorted(owners) == sorted([person.user_id for person in people] * 2)


def test_the_end_corrects_what_was_predicted(lab):
    """A job that took far longer than was predicted sets its owner back, and the other way."""
    one, two = lab.person("one"), lab.person("two")
    for person in (one, two):
        lab.submit(person, *(f"job {number}" for number in range(10)), need_seconds=10.0)
    worker = lab.worker()
    first = lab.claim(worker)
    lab.now += 1000.0
    assert lab.queue.finish(first, [], {})
    for _ in range(5):
        claim = lab.claim(worker)
        assert claim.job.user_id != first.job.user_id
        lab.now += 10.0
        assert lab.queue.finish(claim, [], {})


def test_a_class_comes_before_every_share(lab):
    heavy, light = lab.person("heavy", weight=1000.0), lab.person("light")
    lab.submit(heavy, "background", priority=Priority.BACKGROUND)
    lab.submit(heavy, "normal")
    lab.submit(light, "urgent", priority=Priority.URGENT)
    worker = lab.worker()
    names = [lab.claim(worker).job.name for _ in range(3)]
    assert names == ["urgent", "normal", "background"]


def test_an_owner_of_whom_nothing_fits_is_passed_over(lab):
    large, small = lab.person("large", weight=1000.0), lab.person("small")
    lab.submit(large, "large", need_bytes=2**30)
    lab.submit(small, "small", need_bytes=2**20)
    worker = lab.worker()
    assert lab.claim(worker, memory_bytes=2**25).job.name == "small"
    assert lab.queue.claim(worker, Capacity(memory_bytes=2**25)) == []
    assert lab.claim(worker, memory_bytes=2**30).job.name == "large"


def test_jobs_of_one_owner_go_by_age(lab):
    person, worker = lab.person(), lab.worker()
    for number in range(3):
        lab.submit(person, f"{number} a", f"{number} b")
        lab.now += 1.0
    names = [lab.claim(worker).job.name for _ in range(6)]
    assert names == ["0 a", "0 b", "1 a", "1 b", "2 a", "2 b"]
