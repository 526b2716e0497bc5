import hashlib

import pytest
from pydantic import ValidationError

from itda.errors import WeightsError
from itda.hub.registry import (
    PublishedFile,
    WeightSet,
    get_weight_set,
    licence_text,
    sets_of_family,
    weight_sets,
)


def test_sets_that_are_known() -> None:
    assert {name: one.family for name, one in weight_sets().items()} == {
        "mini": "mini",
        "flashabb": "flashabb",
        "esmfold_v1": "esmfold",
    }
    assert [one.name for one in sets_of_family("esmfold")] == ["esmfold_v1"]
    assert sets_of_family("nothing") == ()
    for one in weight_sets().values():
        assert not one.licence.non_commercial
        assert one.licence.forbids
        assert one.citations


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mini", "Apache License"),
        ("flashabb", "Copyright (c) 2026, University of Oxford"),
        ("esmfold_v1", "Copyright (c) Meta Platforms"),
    ],
)
def test_whole_texts_of_licences(name: str, words: str) -> None:
    text = licence_text(get_weight_set(name).licence)
    assert words in text
    assert len(text) > 1000


def test_package_has_the_same_licence() -> None:
    from importlib import metadata

    try:
        package = metadata.distribution("flash-abb")
    except metadata.PackageNotFoundError:
        pytest.skip("flash-abb is not installed")
    text = package.read_text("licenses/LICENCE")
    assert text is not None
    ours = licence_text(get_weight_set("flashabb").licence)
    assert hashlib.sha256(text.encode()).digest() == hashlib.sha256(ours.encode()).digest()


def test_unknown_set_names_the_nearest() -> None:
    with pytest.raises(WeightsError, match="no set of weights 'esmfold'") as caught:
        get_weight_set("esmfold")
    assert caught.value.hint == "did you mean esmfold_v1?"
    with pytest.raises(WeightsError) as caught:
        get_weight_set("zzz")
    assert caught.value.hint == "known: mini, flashabb, esmfold_v1"


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "a\\b", ""])
def test_file_names_stay_in_their_folder(name: str) -> None:
    with pytest.raises(ValidationError):
        PublishedFile(name=name, bytes=1, sha256=None)


@pytest.mark.parametrize(
    "change",
    [
        {"files": ()},
        {"files": [{"name": "a", "bytes": 1, "sha256": None}] * 2},
        {"files": [{"name": "a", "bytes": 1, "sha256": "abc"}]},
        {"source": {"kind": "huggingface", "repo": "a/b", "revision": "main"}},
        {"source": {"kind": "ftp", "url": "ftp://x"}},
        {"name": "../x"},
        {"colour": "blue"},
    ],
)
def test_what_breaks_the_form_is_refused(change: dict[str, object]) -> None:
    content = get_weight_set("esmfold_v1").model_dump(mode="json")
    WeightSet.model_validate(content)
    with pytest.raises(ValidationError):
        WeightSet.model_validate({**content, **change})
