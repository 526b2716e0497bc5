import pytest
from fake_family import FakeFamily, install

from itda.engine.engine import Engine
from itda.engine.events import JobFinished
from itda.job.model import Job
from itda.results.result import Result
from itda.store.store import Store


@pytest.fixture(autouse=True)
def _nothing_learned(tmp_path, monkeypatch) -> None:
    """What one test teaches of memory does not reach the next."""
    monkeypatch.setenv("ITDA_HOME", str(tmp_path / "home"))


@pytest.fixture
def family(monkeypatch) -> FakeFamily:
    return install(FakeFamily(), monkeypatch.setattr)


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def job() -> Job:
    return Job.from_sequence("helix", "MKTAYIAKQRQISFVK")


@pytest.fixture
def fold(family):
    """Fold a job with the fake family."""

    def run(job: Job, **settings: object) -> Result:
        events = Engine(None, "cpu").run([job], **settings)
        return next(event.result for event in events if isinstance(event, JobFinished))

    return run
