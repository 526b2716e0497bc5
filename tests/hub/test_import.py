import os
from pathlib import Path

import pytest

from itda.errors import InputError, WeightsError
from itda.hub.folders import source_folder
from itda.hub.installed import ensure, state_of
from itda.hub.pull import import_files
from itda.hub.registry import get_weight_set
from itda.hub.source import find_source
from tests.hub.laboratory import CONFIG, MODEL, DoublingConverter, model_bytes

NOWHERE = {"kind": "http", "url": "http://nowhere.invalid"}


@pytest.fixture
def by_hand(tmp_path: Path, content) -> Path:
    """A folder as somebody brings it, with other files in it."""
    folder = tmp_path / "usb"
    (folder / "more").mkdir(parents=True)
    for name, data in content.items():
        (folder / name).write_bytes(data)
    (folder / "README.md").write_text("about")
    return folder


def test_folder(make_set, content, by_hand: Path) -> None:
    weight_set = make_set(content, NOWHERE)
    imported = import_files(weight_set, by_hand)
    assert imported.taken == (MODEL, CONFIG)
    assert imported.left == ("README.md", "more")
    assert imported.missing == ()
    assert list(imported.unpublished) == [CONFIG]
    assert {path.name for path in source_folder("lab").iterdir()} == {
        MODEL,
        CONFIG,
        "received.json",
    }
    assert ensure(weight_set, DoublingConverter()).is_file()


def test_one_file_after_the_other(make_set, content, by_hand: Path) -> None:
    weight_set = make_set(content, NOWHERE)
    assert import_files(weight_set, by_hand / CONFIG).missing == (MODEL,)
    assert state_of(weight_set) == "not here"
    assert import_files(weight_set, by_hand / MODEL).missing == ()
    assert state_of(weight_set) == "can be converted"


def test_file_outside_the_table_is_refused_before_it_is_read(make_set, content, by_hand) -> None:
    weight_set = make_set(content, NOWHERE)
    # Whoever opens a pipe that nobody writes to waits for ever.
    pipe = by_hand / "other.bin"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="no file of weights lab, and was not opened") as caught:
        import_files(weight_set, pipe)
    assert caught.value.hint == f"its files: {MODEL}, {CONFIG}"
    assert "other.bin" in import_files(weight_set, by_hand).left
    (by_hand / MODEL).unlink()
    os.mkfifo(by_hand / MODEL)
    with pytest.raises(InputError, match="is no file"):
        import_files(weight_set, by_hand / MODEL)


def test_nothing_to_take(make_set, content, tmp_path: Path) -> None:
    weight_set = make_set(content, NOWHERE)
    with pytest.raises(InputError, match="holds no file of weights lab"):
        import_files(weight_set, tmp_path)
    with pytest.raises(InputError, match="is not there"):
        import_files(weight_set, tmp_path / MODEL)
    with pytest.raises(InputError, match="come with Itda"):
        import_files(get_weight_set("mini"), tmp_path)


@pytest.mark.parametrize("link", [True, False])
@pytest.mark.parametrize("longer", [True, False])
def test_other_content_is_refused(make_set, content, by_hand, link: bool, longer: bool) -> None:
    weight_set = make_set(content, NOWHERE)
    data = content[MODEL]
    (by_hand / MODEL).write_bytes(data + b"x" if longer else data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(WeightsError, match=r"bytes, not" if longer else "has SHA-256"):
        import_files(weight_set, by_hand / MODEL, link=link)
    assert not [path for path in source_folder("lab").glob("*") if MODEL in path.name]


def test_link(make_set, content, by_hand: Path) -> None:
    weight_set = make_set(content, NOWHERE)
    import_files(weight_set, by_hand, link=True)
    place = source_folder("lab") / MODEL
    assert place.is_symlink()
    assert place.samefile(by_hand / MODEL)
    assert ensure(weight_set, DoublingConverter(1))
    (by_hand / MODEL).write_bytes(model_bytes(7))
    with pytest.raises(WeightsError, match="bytes, not"):
        ensure(weight_set, DoublingConverter(2))


def test_replaces_a_bad_one(make_set, content, by_hand: Path) -> None:
    weight_set = make_set(content, NOWHERE)
    source_folder("lab").mkdir(parents=True)
    (source_folder("lab") / MODEL).write_bytes(b"bad")
    (source_folder("lab") / CONFIG).write_bytes(content[CONFIG])
    with pytest.raises(WeightsError, match="3 bytes, not"):
        ensure(weight_set, DoublingConverter())
    import_files(weight_set, by_hand / MODEL)
    assert find_source(weight_set).paths[MODEL].read_bytes() == content[MODEL]
    assert ensure(weight_set, DoublingConverter())
