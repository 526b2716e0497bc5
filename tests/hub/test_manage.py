from pathlib import Path

import pytest

from itda.errors import InputError, WeightsError
from itda.hub import stamps
from itda.hub.fetch import DownloadError
from itda.hub.folders import set_folder, source_folder, weights_folder
from itda.hub.installed import ensure, state_of
from itda.hub.manage import bytes_here, check_set, half_downloaded, remove
from itda.hub.pull import import_files, pull
from itda.hub.registry import get_weight_set
from itda.hub.weights import read_card
from tests.hub.laboratory import CONFIG, MODEL, DoublingConverter


@pytest.fixture
def installed(make_set, content, tmp_path: Path):
    """A set that is here, as published and converted."""
    folder = tmp_path / "usb"
    folder.mkdir()
    for name, data in content.items():
        (folder / name).write_bytes(data)
    weight_set = make_set(content, {"kind": "http", "url": "http://nowhere.invalid"})
    import_files(weight_set, folder)
    ensure(weight_set, DoublingConverter())
    return weight_set


def test_whole(installed, content) -> None:
    report = check_set(installed)
    assert not report.problems
    assert len(report.whole) == 3
    assert report.whole[source_folder("lab") / MODEL] == installed.files[0].sha256
    assert check_set(get_weight_set("mini")).whole


@pytest.mark.parametrize("where", ["published", "converted"])
def test_a_file_altered_under_its_stamp_is_found(installed, where: str, monkeypatch) -> None:
    path = source_folder("lab") / MODEL
    if where == "converted":
        path = ensure(installed, DoublingConverter())
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    # As after a fault of the disk, which changes no dates: the stamp says that all is well.
    good = installed.files[0].sha256
    if where == "converted":
        good = read_card(path).sha256
    stamps.stamp(path, good)
    ensure(installed, DoublingConverter())
    (problem,) = check_set(installed).problems
    assert str(path) in problem.problem


def test_removed(installed) -> None:
    held = bytes_here(installed)
    assert held > 0
    assert remove(installed) > 0
    assert not set_folder("lab").exists()
    assert not list((weights_folder() / "stamps").iterdir())
    assert state_of(installed) == "not here"
    with pytest.raises(WeightsError, match="nothing of weights lab"):
        remove(installed)


def test_removed_in_part(installed) -> None:
    remove(installed, published=False)
    assert state_of(installed) == "can be converted"
    path = ensure(installed, DoublingConverter())
    remove(installed, converted=False)
    assert ensure(installed, DoublingConverter()) == path
    assert not source_folder("lab").exists()


def test_links_go_and_what_they_point_to_stays(installed, tmp_path: Path) -> None:
    import_files(installed, tmp_path / "usb", link=True)
    remove(installed)
    assert (tmp_path / "usb" / MODEL).is_file()
    assert (tmp_path / "usb" / CONFIG).is_file()


def test_half_a_download_is_counted_and_removed(published, waits) -> None:
    server, weight_set = published
    server.cut_after = [70_000, 0, 0, 0, 0]
    with pytest.raises(DownloadError):
        pull(weight_set)
    assert half_downloaded(weight_set) >= 70_000
    assert remove(weight_set) >= 70_000
    assert half_downloaded(weight_set) == 0


def test_what_comes_with_itda_is_not_removed() -> None:
    with pytest.raises(InputError, match="come with Itda"):
        remove(get_weight_set("mini"))
