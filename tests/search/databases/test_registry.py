from pathlib import Path

import pytest

from itda.search.databases.registry import Databases, databases_folder


def test_folder_by_variable_then_data_folder_then_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("ITDA_HOME", raising=False)
    monkeypatch.setenv("ITDA_DATABASES", str(tmp_path / "mine"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert Databases().folder == tmp_path / "mine"
    monkeypatch.delenv("ITDA_DATABASES")
    assert databases_folder() == tmp_path / "data" / "itda" / "databases"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert databases_folder() == tmp_path / ".local" / "share" / "itda" / "databases"


def test_no_folder_yet_is_no_database(tmp_path: Path) -> None:
    databases = Databases(tmp_path / "none")
    assert databases.names() == ()
    assert databases.list() == []
    assert databases.unfinished() == {}
    assert not databases.folder.exists()
