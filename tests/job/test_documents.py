from __future__ import annotations

import json
import random

import pytest
import yaml

from itda.errors import InputError
from itda.job.documents import json_documents, yaml_documents


def test_plain_yaml_words_stay_text() -> None:
    text = "[NO, 'yes', on, 004, 0x1F, 1_000, 12:30, 2024-01-01, 1E5, .inf, <<, y]"
    (document,) = yaml_documents(f"words: {text}")
    assert document.data == {
        "words": ["NO", "yes", "on", "004", "0x1F", "1_000", "12:30", "2024-01-01", "1E5", ".inf",
                  "<<", "y"]
    }  # fmt: skip


def test_values_of_yaml_are_read() -> None:
    (document,) = yaml_documents("a: [1, -2, +3, 0, 1.5, -0.5e3, true, false, null, ~, '1']\nb:\n")
    assert document.data == {
        "a": [1, -2, 3, 0, 1.5, -500.0, True, False, None, None, "1"],
        "b": None,
    }


def test_yaml_agrees_with_json_on_json() -> None:
    random_state = random.Random(0)
    for _ in range(50):
        value = {
            "".join(random_state.choices("abcé ,:#{}[]'\"\\", k=5)): random_state.choice(
                [1, -5, 2.5, True, None, "NO", "a: b", [1, [2]], {"x": "-"}]
            )
            for _ in range(5)
        }
        text = json.dumps(value)
        assert next(yaml_documents(text)).data == next(json_documents(text)).data == value


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("name: a", ["a"]),
        ("- name: a\n- name: 5\n- 7\n", ["a", "5", ""]),
        ("name: a\n---\n- name: b\n- name: c\n---\n", ["a", "b", "c"]),
        ("[]", []),
        ("---\n---\n", []),
        ("", []),
        ("{}", [""]),
    ],
)
def test_yaml_jobs_stand_alone_in_lists_or_in_documents(text: str, names: list[str]) -> None:
    documents = list(yaml_documents(text))
    assert [document.name for document in documents] == names
    assert [document.index for document in documents] == list(range(1, len(names) + 1))


def test_lines_of_jobs_are_told() -> None:
    assert [d.line for d in yaml_documents("# c\n- name: a\n  x: 1\n- name: b\n")] == [2, 4]
    assert [d.line for d in json_documents('[\n{"name": "a",\n"x": 1},\n\n{}, 5]')] == [2, 5, 5]


def test_a_repeated_key_spoils_its_own_job_only() -> None:
    documents = list(yaml_documents("- name: a\n- name: b\n  x: {y: 1,\n    y: 2}\n- name: c\n"))
    assert [d.name for d in documents] == ["a", "b", "c"]
    assert isinstance(documents[1].data, InputError)
    assert str(documents[1].data).startswith("line 4: key 'y' stands twice")
    documents = list(json_documents('[{"name": "a"}, {"name": "b", "x": [{"y": 1, "y": 2}]}, {}]'))
    assert [isinstance(d.data, InputError) for d in documents] == [False, True, False]
    assert "key 'y' stands twice" in str(documents[1].data)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x 1\nb: *x\n", "anchor or alias 'x' is not allowed at line 1, column 4"),
        ("a: 1\nb: *x\n", "anchor or alias 'x' is not allowed at line 2"),
        ("a: !!python/object/apply:os.system [ls]", "tag"),
        ("a: !!str 5", "tag"),
        ("!custom\na: 1", "tag"),
        ("a: [1", "line 1, column 6"),
        ("a:\n\t- b", "line 2, column 1"),
        ("a: b: c", "line 1"),
        ("a: \x07", "is not YAML"),
        ("a: " + "[" * 5000, "nested too deeply"),
    ],
)
def test_yaml_that_is_refused_as_a_whole(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said.replace("[", r"\[")):
        list(yaml_documents(text))


@pytest.mark.parametrize("text", ["? [a]\n: b", "? {a: 1}\n: b"])
def test_keys_have_to_be_text(text: str) -> None:
    (document,) = yaml_documents(text)
    assert "a key must be text" in str(document.data)


def test_a_number_too_long_for_python_spoils_its_own_job_only() -> None:
    documents = list(yaml_documents(f"- a: {'9' * 5000}\n- a: 1\n"))
    assert isinstance(documents[0].data, InputError)
    assert documents[1].data == {"a": 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"a": 1},]', "line 1, column 11"),
        ('{"a": 1}\n{"a": 2}', "line 2, column 1"),
        ('[{"a": 1}\n', "Expecting"),
        ("[", "line 1, column 2"),
        ("{a: 1}", "line 1, column 2"),
        ('{"a": NaN}', "NaN is not a number"),
        ('{"a": -Infinity}', "-Infinity is not a number"),
        ('{"a": ' + "1" * 5000 + "}", "is not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('["\n"]', "control character"),
    ],
)
def test_json_that_is_refused_as_a_whole(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        list(json_documents(text))


def test_the_loader_does_not_change_yaml_for_others() -> None:
    list(yaml_documents("a: NO"))
    assert yaml.safe_load("a: NO") == {"a": False}
