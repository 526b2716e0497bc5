"""Remedies in the words of each face, and that what they name is there."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import itda
from itda.cli.main import COMMANDS, load_command
from itda.errors import InputError, spoken_in
from itda.job.model import Job
from itda.language import COMMAND_LINE, PYTHON, REQUEST, Message, Option
from itda.wire import Options

SOURCE = Path(itda.__file__).parent
OTHERS = {"help", "host-url", "nproc-per-node"}
"""Options of other programs that messages speak of."""

CASES = {
    "pass {--ambiguous:x} to read": (
        "pass --ambiguous x to read",
        'pass ambiguous="x" to read',
        "pass ambiguous x to read",
    ),
    "leave {--recycles} out": ("leave --recycles out", "leave recycles out", "leave recycles out"),
    "leave {--model} out": ("leave --model out", "leave model out", "leave family out"),
    "with {--model!c:esmfold}": (
        "with `--model esmfold`",
        'with model="esmfold"',
        "with family esmfold",
    ),
    "with {--db:uniref50};": (
        "with --db uniref50;",
        'with db="uniref50";',
        "with databases uniref50;",
    ),
    "{--template-count:4}": ("--template-count 4", "template_count=4", "template_count 4"),
    "leave {--cache} out": ("leave --cache out", "leave cache=False out", "leave cache out"),
    "{{a}} -- b{$ (`itda models`)}": (
        "{a} -- b (`itda models`)",
        "{a} -- b (`itda models`)",
        "{a} -- b",
    ),
}


@pytest.mark.parametrize("template", CASES)
def test_an_option_is_said_as_each_face_has_it(template) -> None:
    message = Message(template)
    assert tuple(message.said(face) for face in (COMMAND_LINE, PYTHON, REQUEST)) == CASES[template]
    assert message == CASES[template][0]


def test_an_option_that_is_a_field_is_said_as_each_face_has_it() -> None:
    inner = Message(
        "{able:or}", able=[Option("model", name, code=True) for name in ("a", "b", "c")]
    )
    message = Message("{option}: choose {able}", option=Option("msa"), able=inner)
    assert message == "--msa: choose `--model a`, `--model b` or `--model c`"
    assert message.said(REQUEST) == "msa: choose family a, family b or family c"
    assert [option.name for option in message.options()] == ["msa", "model", "model", "model"]


def test_errors_of_a_block_speak_its_language() -> None:
    error = InputError(Message("B at 3"), hint=Message("pass {--ambiguous:x}"))
    with pytest.raises(InputError) as raised, spoken_in(PYTHON):
        raise error
    assert raised.value is error
    assert str(error) == 'B at 3\n  hint: pass ambiguous="x"'
    assert error.args == ("B at 3",)


def test_python_is_told_of_arguments_and_has_them() -> None:
    with pytest.raises(InputError) as raised:
        itda.fold("MKTAYIAKQRBISFVK")
    assert 'ambiguous="x"' in str(raised.value) and "--" not in str(raised.value)
    with pytest.raises(InputError) as raised:
        Job.from_sequence("x", "ACGTACGTACGT")
    assert 'molecule="dna"' in str(raised.value) and "--" not in str(raised.value)
    with pytest.raises(InputError) as raised:
        itda.fold("MKTAYIAKQRQISFVK", msa="nonsense")
    assert "--" not in str(raised.value)


def options_of(command: object) -> set[str]:
    found = {
        name.removeprefix("--")
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    for inner in getattr(command, "commands", {}).values():
        found |= options_of(inner)
    return found


def messages_in(path: Path) -> Iterator[str]:
    """Each template of a message in a source file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Message", "counted"):
            for one in node.args[:2]:
                if isinstance(one, ast.Constant) and isinstance(one.value, str):
                    yield one.value


def test_every_option_that_a_message_names_is_there() -> None:
    known = set().union(*(options_of(load_command(name)) for name in COMMANDS)) | OTHERS
    named: dict[str, Path] = {}
    for path in SOURCE.rglob("*.py"):
        for text in messages_in(path):
            for name in re.findall(r"(?<![\w-])--([a-z][a-z-]*[a-z])\b", text):
                named[name] = path
    assert {"ambiguous", "overwrite", "db"} <= set(named)
    assert {name: path for name, path in named.items() if name not in known} == {}


def test_what_the_faces_share_has_the_same_names() -> None:
    arguments = set(inspect.signature(itda.fold).parameters)
    shared = {name.replace("-", "_") for name in options_of(load_command("fold"))}
    shared -= {"sources", "offline", "overwrite", "progress", "json", "threads", "at_once", "cache"}
    shared = {name for name in shared if len(name) > 1 and name != "help"}
    assert {PYTHON.names.get(name, name) for name in shared} <= arguments
    asked = {REQUEST.names.get(name, name) for name in shared}
    elsewhere = {"out", "device", "memory", "weights", "profile"}  # the server's own, or files sent
    assert asked - set(Options.model_fields) <= elsewhere
