"""Every template that the package says is in the catalogue of each language, once and whole."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Formatter

import pytest
from babel.messages import pofile
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg

import itda
from itda.language import LANGUAGES, SOURCE, TRANSLATIONS

PACKAGE = Path(itda.__file__).parent
OTHERS = [code for code in LANGUAGES if code != SOURCE]
KEYWORDS = {"Message": None, "counted": (1, 2)}


def pieces(template: str) -> tuple[str, list[str]]:
    """Return the letters of a template, and all that stands in braces."""
    letters, fields = "", []
    for literal, name, spec, conversion in Formatter().parse(template):
        letters += "".join(filter(str.isalpha, literal))
        if name is not None and not name.startswith("$"):
            fields.append(f"{name}!{conversion or ''}")
            fields += pieces(spec)[1] if spec and "{" in spec else []
    return letters, sorted(fields)


@pytest.fixture(scope="module")
def templates() -> Mapping[str, tuple[str, set[str]]]:
    """Each template with its plural, and the rooms that say it."""
    with (TRANSLATIONS / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)
    found: dict[str, tuple[str, set[str]]] = {}
    for name, _, message, _, _ in extract_from_dir(PACKAGE, methods, options, KEYWORDS):
        forms = message if isinstance(message, tuple) else (message, message)
        if pieces(forms[0])[0]:
            found.setdefault(forms[0], (forms[1], set()))[1].add(Path(name).parts[0])
    assert len(found) > 1000
    return found


def entries(code: str) -> Iterator[tuple[str, pofile.Message]]:
    for path in (TRANSLATIONS / code).glob("*.po"):
        with path.open("rb") as file:
            for entry in pofile.read_po(file, locale=code, abort_invalid=True):
                if entry.id:
                    yield path.name, entry


def key_of(entry: pofile.Message) -> str:
    return entry.id if isinstance(entry.id, str) else entry.id[0]


def forms_of(entry: pofile.Message) -> tuple[str, ...]:
    return (entry.string,) if isinstance(entry.string, str) else tuple(entry.string)


@pytest.mark.parametrize("code", OTHERS)
def test_every_template_is_translated(code, templates) -> None:
    there = {key_of(entry) for _, entry in entries(code) if all(forms_of(entry))}
    assert templates.keys() - there == set()


@pytest.mark.parametrize("code", OTHERS)
def test_fields_agree(code, templates) -> None:
    for name, entry in entries(code):
        if "%(" in key_of(entry):
            continue  # of a page: tests/web/test_translations.py
        for form in forms_of(entry):
            plural = templates.get(key_of(entry), (key_of(entry), set()))[0]
            given = set(pieces(key_of(entry))[1]) | set(pieces(plural)[1])
            assert set(pieces(form)[1]) <= given, (name, form)
            needed = {field for field in given if not field.startswith("noun")}
            assert needed <= set(pieces(form)[1]) | {"needed!"}, (name, form)


@pytest.mark.parametrize("code", OTHERS)
def test_nothing_is_doubtful_or_stands_twice(code) -> None:
    files = defaultdict(list)
    for name, entry in entries(code):
        assert not entry.fuzzy, key_of(entry)
        files[key_of(entry)].append(name)
    assert {key: names for key, names in files.items() if len(names) > 1} == {}


def errors_of_users() -> set[str]:
    """Names of `ItdaError` and of all that is derived from it."""
    bases: dict[str, set[str]] = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases[node.name] |= {getattr(b, "id", getattr(b, "attr", "")) for b in node.bases}
    known = {"ItdaError"}
    while more := {name for name, of in bases.items() if of & known} - known:
        known |= more
    return known


def bare(node: ast.expr) -> bool:
    """Whether an expression is text with letters that is no message."""
    match node:
        case ast.Constant(value=str(text)):
            return any(map(str.isalpha, text))
        case ast.JoinedStr():
            return True
        case ast.BinOp():
            return bare(node.left) or bare(node.right)
        case ast.IfExp():
            return bare(node.body) or bare(node.orelse)
        case ast.BoolOp():
            return any(map(bare, node.values))
        case ast.List() | ast.Tuple():
            return any(map(bare, node.elts))
        case _:
            return False


def test_no_error_is_made_of_plain_text() -> None:
    errors = errors_of_users()
    assert {"InputError", "QuotaError", "DiskFullError"} <= errors
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                hints = [one.value for one in node.keywords if one.arg == "hint"]
                if name in errors and any(map(bare, [*node.args[:1], *hints])):
                    found.append(f"{path.relative_to(PACKAGE)}:{node.lineno}")
    assert found == []


@pytest.mark.parametrize(
    ("source", "is_bare"),
    [('f"{x}"', True), ('"a" if x else y', True), ('"; "', False), ('Message("a")', False)],
)
def test_plain_text_would_be_seen(source, is_bare) -> None:
    assert bare(ast.parse(source, mode="eval").body) is is_bare
