import io
import json
import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from itda.errors import OutputError, WeightsError
from itda.hub import stamps, weights
from itda.hub.folders import set_folder, source_folder, weights_folder
from itda.hub.installed import converted_files, ensure, state_of
from itda.hub.pull import import_files
from itda.hub.registry import WeightSet, get_weight_set
from itda.hub.source import checked_digests, find_source
from tests.hub.laboratory import CONFIG, MODEL, DoublingConverter, model_bytes, start_worker
from tests.patience import PATIENCE_SECONDS

HUB = {"kind": "http", "url": "http://nowhere.invalid"}


@pytest.fixture
def brought(make_set, tmp_path: Path) -> WeightSet:
    """A set whose published files are here."""
    content = {MODEL: model_bytes(), CONFIG: b'{"width": 5}'}
    folder = tmp_path / "by-hand"
    folder.mkdir()
    for name, data in content.items():
        (folder / name).write_bytes(data)
    weight_set = make_set(content, HUB)
    import_files(weight_set, folder)
    return weight_set


def test_where_weights_lie(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    assert weights_folder() == home / "weights"
    monkeypatch.setenv("ITDA_WEIGHTS", "/large/disk")
    assert weights_folder() == Path("/large/disk")
    monkeypatch.delenv("ITDA_WEIGHTS")
    monkeypatch.delenv("ITDA_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert weights_folder() == Path("/data/itda/weights")


def test_converted_once(brought: WeightSet) -> None:
    converter = DoublingConverter()
    assert state_of(brought) == "can be converted"
    path = ensure(brought, converter)
    assert ensure(brought, converter) == path
    assert converter.calls == 1
    assert state_of(brought) == "installed"
    card, tensors = weights.load(path, family="laboratory")
    assert torch.equal(tensors["first"], torch.arange(1000.0) * 2)
    assert card.config == {"width": 5}
    assert card.unused == {"unused.head": "a head of training"}
    assert card.converter == 1
    assert card.licence == "LicenseRef-lab"
    assert card.source is not None
    assert card.source.files[MODEL] == brought.files[0].sha256
    # Number formats are kept in the file.
    assert load_file(path)["second"].dtype == torch.bfloat16


def test_new_converter_converts_anew_and_removes_the_old(brought: WeightSet) -> None:
    old = ensure(brought, DoublingConverter(1))
    new = ensure(brought, DoublingConverter(2))
    assert new != old
    assert converted_files(brought) == (new,)
    assert not weights.card_path(old).exists()
    assert weights.load(new, family="laboratory")[1]["first"][1] == 4


def test_converted_file_serves_without_the_published_ones(brought: WeightSet) -> None:
    path = ensure(brought, DoublingConverter())
    for name in (MODEL, CONFIG):
        (source_folder("lab") / name).unlink()
    assert ensure(brought, DoublingConverter()) == path
    with pytest.raises(WeightsError, match=f"{MODEL} belongs at {source_folder('lab') / MODEL}"):
        ensure(brought, DoublingConverter(2))


def test_missing_files_say_how_to_get_them(make_set) -> None:
    weight_set = make_set({MODEL: b"x"}, HUB)
    with pytest.raises(WeightsError, match="weights lab are not on this machine") as caught:
        ensure(weight_set, DoublingConverter())
    assert "itda weights pull lab" in caught.value.hint
    with pytest.raises(WeightsError, match="has no converter"):
        ensure(weight_set, None)
    # Asking leaves nothing behind.
    assert not set_folder("lab").exists()


def test_changed_source_is_refused(brought: WeightSet) -> None:
    path = source_folder("lab") / MODEL
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[3000] ^= 1
    path.write_bytes(bytes(content))
    # As if nothing had happened: the same size and dates.
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(WeightsError, match=f"has SHA-256 .*, not {brought.files[0].sha256}"):
        ensure(brought, DoublingConverter())
    assert not converted_files(brought)


def test_changed_document_without_a_published_digest_is_refused(brought: WeightSet) -> None:
    (source_folder("lab") / CONFIG).write_text('{"width": 6}')
    with pytest.raises(WeightsError, match=r"when it arrived: it was altered since"):
        ensure(brought, DoublingConverter())


def test_another_document_is_converted_anew(brought: WeightSet, tmp_path: Path) -> None:
    old = ensure(brought, DoublingConverter())
    (tmp_path / CONFIG).write_text('{"width": 123}')
    with pytest.raises(WeightsError, match="has 14 bytes, not 12"):
        import_files(brought, tmp_path / CONFIG)
    (tmp_path / CONFIG).write_text('{"width": 7}')
    import_files(brought, tmp_path / CONFIG)
    new = ensure(brought, DoublingConverter())
    assert new != old
    assert weights.read_card(new).config == {"width": 7}


def test_altered_conversion_is_refused(brought: WeightSet) -> None:
    path = ensure(brought, DoublingConverter())
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    for read in (lambda: ensure(brought, DoublingConverter()), lambda: weights.verify(path)):
        with pytest.raises(WeightsError, match="truncated or altered") as caught:
            read()
        assert "itda weights remove lab --converted" in caught.value.hint


def test_large_files_are_hashed_once(brought: WeightSet, monkeypatch) -> None:
    hashed: list[str] = []
    digest = stamps.file_digest
    monkeypatch.setattr(
        stamps, "file_digest", lambda path: hashed.append(path.name) or digest(path)
    )
    path = ensure(brought, DoublingConverter())
    weights.load(path, family="laboratory")
    ensure(brought, DoublingConverter())
    # Their digests were taken while they were copied and written.
    assert hashed == []
    weights.verify(path, anew=True)
    assert hashed == [path.name]
    os.utime(path)
    weights.verify(path)
    assert hashed == [path.name] * 2
    # A stamp that cannot be read is no stamp.
    for stamp in (weights_folder() / "stamps").iterdir():
        stamp.write_text("[]")
    checked_digests(brought, find_source(brought))
    assert hashed[2:] == [MODEL, CONFIG]


def test_weights_elsewhere_are_always_hashed(tmp_path: Path, brought: WeightSet) -> None:
    inside = ensure(brought, DoublingConverter())
    path = tmp_path / "mine.safetensors"
    path.write_bytes(inside.read_bytes())
    weights.card_path(path).write_bytes(weights.card_path(inside).read_bytes())
    count = len(list((weights_folder() / "stamps").iterdir()))
    weights.verify(path)
    assert len(list((weights_folder() / "stamps").iterdir())) == count


def test_two_conversions_at_once(brought: WeightSet) -> None:
    processes = [start_worker("slowly+ensure", brought) for _ in range(2)]
    said = []
    for process in processes:
        out, errors = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, errors
        said.append(out.split())
    # One converted; the other waited for it.
    assert sorted(len(lines) for lines in said) == [1, 2]
    assert said[0][-1] == said[1][-1]
    weights.verify(Path(said[0][-1]), anew=True)


def test_killed_conversion_leaves_nothing_half(brought: WeightSet) -> None:
    with start_worker("hang+ensure", brought) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        assert process.stdout.readline() == "writing\n"
        process.send_signal(signal.SIGKILL)
    assert state_of(brought) == "can be converted"
    assert not converted_files(brought)
    left = [path for path in set_folder("lab").iterdir() if "converted" in path.name]
    assert left
    path = ensure(brought, DoublingConverter())
    assert {p.name for p in set_folder("lab").iterdir()} == {
        "source",
        path.name,
        weights.card_path(path).name,
    }


def test_conversion_that_does_not_fit_leaves_nothing(make_set, tmp_path: Path) -> None:
    content = {MODEL: model_bytes(50_000), CONFIG: b"{}"}
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    weight_set = make_set(content, HUB)
    import_files(weight_set, tmp_path, link=True)
    with start_worker("little-room+ensure", weight_set) as process:
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert "OutputError" in errors
    assert "has no room left" in errors
    assert {path.name for path in set_folder("lab").iterdir()} == {"source"}


def test_shared_folder_that_may_not_be_written(brought: WeightSet, monkeypatch) -> None:
    path = ensure(brought, DoublingConverter())
    monkeypatch.setattr(Path, "mkdir", _denied)
    assert ensure(brought, DoublingConverter()) == path
    with pytest.raises(OutputError, match="cannot be written"):
        ensure(brought, DoublingConverter(2))


def _denied(*_: object, **__: object) -> None:
    raise PermissionError(13, "Permission denied")


def test_built_in() -> None:
    mini = get_weight_set("mini")
    path = ensure(mini, None)
    assert weights.verify(path).family == "mini"
    assert state_of(mini) == "built in"


class _Package:
    """An installed package of a version."""

    def __init__(self, folder: Path, version: str) -> None:
        self.folder, self.version = folder, version

    def locate_file(self, path: str) -> Path:
        return self.folder / path


@pytest.mark.parametrize(
    ("version", "alter", "said"),
    [
        ("1.2.0", False, ""),
        # Another version with the same files is as good.
        ("1.3.0", False, ""),
        ("1.3.0", True, "of lab-model 1.3.0 has SHA-256 .*, which lab-model 1.2.0 has"),
        ("2.0", False, "lab-model 2.0 is installed, and >=1.2,<2 holds them"),
    ],
)
def test_package_of_a_version(make_set, tmp_path, monkeypatch, version, alter, said) -> None:
    from importlib import metadata

    content = {MODEL: model_bytes(), CONFIG: b"{}"}
    source = {
        "kind": "package",
        "distribution": "lab-model",
        "versions": ">=1.2,<2",
        "digests_of_version": "1.2.0",
        "folder": "lab_model/weights",
        "extra": "lab",
    }
    weight_set = make_set(content, source)
    with pytest.raises(WeightsError, match="lab-model, which is not installed") as caught:
        ensure(weight_set, DoublingConverter())
    assert 'pip install "itda[lab]"' in caught.value.hint
    folder = tmp_path / "lab_model" / "weights"
    folder.mkdir(parents=True)
    for name, data in content.items():
        (folder / name).write_bytes(data)
    if alter:
        data = bytearray(content[MODEL])
        data[-200] ^= 1
        (folder / MODEL).write_bytes(bytes(data))
    monkeypatch.setattr(metadata, "distribution", lambda _: _Package(tmp_path, version))
    if said:
        with pytest.raises(WeightsError, match=said) as caught:
            ensure(weight_set, DoublingConverter())
        assert 'pip install "lab-model==1.2.0"' in caught.value.hint
        return
    card = weights.read_card(ensure(weight_set, DoublingConverter()))
    assert card.source is not None
    assert card.source.origin == f"lab-model {version}"


def test_flashabb_as_its_package_has_it() -> None:
    pytest.importorskip("flash_abb")
    weight_set = get_weight_set("flashabb")
    digests = checked_digests(weight_set, find_source(weight_set))
    assert digests == {file.name: file.sha256 for file in weight_set.files}


class _Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_pickle_that_would_run_something_is_refused(make_set, tmp_path: Path, zipped: bool) -> None:
    touched = tmp_path / "touched"
    buffer = io.BytesIO()
    state = {"a": torch.zeros(2), "b": _Evil(touched)}
    torch.save(state, buffer, _use_new_zipfile_serialization=zipped)
    content = {MODEL: buffer.getvalue(), CONFIG: b"{}"}
    folder = tmp_path / "by-hand"
    folder.mkdir()
    for name, data in content.items():
        (folder / name).write_bytes(data)
    weight_set = make_set(content, HUB)
    import_files(weight_set, folder)
    with pytest.raises(WeightsError, match=r"more than numbers and text: it asks for \w+\.system"):
        ensure(weight_set, DoublingConverter())
    assert not touched.exists()
    # The file does what it is refused for.
    torch.load(folder / MODEL, weights_only=False)
    assert touched.exists()


@pytest.mark.parametrize("data", [b"", b"no tensors at all", b"PK\x03\x04broken"])
def test_file_that_is_no_file_of_tensors(make_set, tmp_path: Path, data: bytes) -> None:
    content = {MODEL: data, CONFIG: b"{}"}
    folder = tmp_path / "by-hand"
    folder.mkdir()
    for name, one in content.items():
        (folder / name).write_bytes(one)
    weight_set = make_set(content, HUB)
    import_files(weight_set, folder)
    with pytest.raises(WeightsError, match=MODEL) as caught:
        ensure(weight_set, DoublingConverter())
    assert "publisher" in caught.value.hint


def test_card_is_json(brought: WeightSet) -> None:
    path = ensure(brought, DoublingConverter())
    card = json.loads(weights.card_path(path).read_text())
    assert card["source"]["origin"].startswith("imported")
