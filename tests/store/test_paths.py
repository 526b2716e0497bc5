from pathlib import Path

import pytest

from itda.store.paths import cache_folder, stage_folder


@pytest.fixture(autouse=True)
def no_wishes(monkeypatch) -> None:
    monkeypatch.delenv("ITDA_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)


def test_variable_of_our_own_comes_first(monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    monkeypatch.setenv("ITDA_CACHE", "/mine")
    assert cache_folder() == Path("/mine") and stage_folder() == Path("/mine/stages")


def test_user_s_cache_folder_comes_next(monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_folder() == Path("/x/itda")


def test_home_comes_last(monkeypatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert cache_folder() == Path("/home/somebody/.cache/itda")


def test_user_without_a_home_has_a_folder(monkeypatch, tmp_path) -> None:
    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", none)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert cache_folder().parent == tmp_path
