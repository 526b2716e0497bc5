import json
from pathlib import Path

import pytest

from itda.errors import OutputError, WeightsError
from itda.hub import licence
from itda.hub.installed import ensure
from itda.hub.licence import (
    LicenceError,
    acknowledge,
    acknowledged,
    require_acknowledged,
    summary,
)
from itda.hub.pull import import_files, pull
from itda.hub.registry import get_weight_set
from tests.hub.laboratory import DoublingConverter

NOWHERE = {"kind": "http", "url": "http://nowhere.invalid"}


@pytest.fixture
def limited(make_set, content):
    """A set whose licence forbids commercial use."""
    return make_set(content, NOWHERE, non_commercial=True)


def test_licences_that_need_nothing() -> None:
    for name in ("mini", "flashabb", "esmfold_v1"):
        assert require_acknowledged(get_weight_set(name)) is None


def test_nothing_is_done_before_it_is_acknowledged(limited, tmp_path: Path, home: Path) -> None:
    for work in (
        lambda: pull(limited, offline=True),
        lambda: import_files(limited, tmp_path),
        lambda: ensure(limited, DoublingConverter()),
        lambda: require_acknowledged(limited),
    ):
        with pytest.raises(LicenceError, match="must be acknowledged first") as caught:
            work()
        assert "Commercial use is forbidden. Not allowed: Selling" in caught.value.problem
        assert "itda weights licence lab --accept-licence" in caught.value.hint
    assert not home.exists()


def test_kept_with_date_user_and_digest(limited, home: Path, monkeypatch) -> None:
    monkeypatch.setattr(licence.getpass, "getuser", lambda: "kim")
    entry = acknowledge(limited)
    assert require_acknowledged(limited) == entry == acknowledged(limited)
    kept = json.loads((home / "licences.json").read_text())["lab"]
    assert kept["user"] == "kim"
    assert kept["date"].startswith("20")
    assert kept["sha256"] == entry.sha256
    # After it, the next thing that is missing is the file.
    with pytest.raises(WeightsError, match="not on this machine"):
        ensure(limited, DoublingConverter())


def test_text_that_changed_is_asked_for_again(limited, monkeypatch) -> None:
    acknowledge(limited)
    monkeypatch.setattr(licence, "licence_text", lambda _: "another text")
    assert acknowledged(limited) is None
    with pytest.raises(LicenceError, match="changed since you acknowledged it"):
        require_acknowledged(limited)
    acknowledge(limited)
    assert require_acknowledged(limited)


def test_each_set_has_its_own(limited, make_set, content) -> None:
    acknowledge(limited)
    other = make_set(content, NOWHERE, name="other", non_commercial=True)
    with pytest.raises(LicenceError, match="weights other"):
        require_acknowledged(other)
    acknowledge(other)
    assert acknowledged(limited)


def test_book_that_cannot_be_read_or_written(limited, home: Path, monkeypatch) -> None:
    home.mkdir()
    (home / "licences.json").write_text("{")
    with pytest.raises(WeightsError, match=r"licences\.json: cannot be read"):
        require_acknowledged(limited)
    monkeypatch.setenv("ITDA_HOME", str(home / "licences.json" / "x"))
    monkeypatch.setattr(licence, "_read", dict)
    with pytest.raises(OutputError, match="cannot be written"):
        acknowledge(limited)


def test_summary_of_a_permissive_licence() -> None:
    assert "Commercial use" not in summary(get_weight_set("esmfold_v1"))
