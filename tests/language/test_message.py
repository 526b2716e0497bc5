"""A message as text, as data, and in the words of each face and language."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from itda.errors import CapabilityError, InputError, describe_error, retold
from itda.language import PYTHON, REQUEST, Message, Option, chosen_language, counted, from_data
from itda.server.errors import QuotaError

INNER = Message("the sequence is empty")
SEVERAL = [
    Message("{name!r} has {count:,} of {share:.1%}", name="a'b", count=12345, share=0.256),
    Message("{where}: {problem}", where=Path("x/y.fa"), problem=INNER),
    Message("its atoms: {atoms:,}", atoms=("CA", "CB")),
    Message("{able:or}", able=[Option("model", "mini", code=True), Option("msa")]),
    counted("{count} file", "{count} files", 1),
    counted("{count} file", "{count} files", 2),
    Message("{{braces}} {--msa:server:URL} {value!r}", value=[1, "x"]),
    Message("{digest:.4}…", digest="abcdefgh"),
    Message("on {day:%Y-%m-%d}", day=date(2026, 9, 21)),
]
TEXTS = [
    '"a\'b" has 12,345 of 25.6%',
    "x/y.fa: the sequence is empty",
    "its atoms: CA, CB",
    "`--model mini` or --msa",
    "1 file",
    "2 files",
    "{braces} --msa server:URL [1, 'x']",
    "abcd…",
    "on 2026-09-21",
]


@pytest.mark.parametrize(("message", "text"), list(zip(SEVERAL, TEXTS, strict=True)))
def test_a_message_is_text_and_goes_through_pickle_and_json(message, text) -> None:
    assert message == text
    again = pickle.loads(pickle.dumps(message))
    assert (again, again.template, again.fields) == (text, message.template, message.fields)
    sent = from_data(json.loads(json.dumps(message.to_data())))
    assert sent == text and sent.said(REQUEST, "ko") == message.said(REQUEST, "ko")


@pytest.mark.parametrize(
    "data", [None, [], {}, {"template": 1}, {"template": "{x}"}, {"fields": 1}]
)
def test_what_is_no_message_is_refused(data) -> None:
    with pytest.raises(ValueError, match="no message"):
        from_data(data)


def test_a_message_is_said_in_each_language() -> None:
    message = SEVERAL[1]
    assert message.said(language="ko") == "x/y.fa: 서열이 비어 있습니다"
    assert message.said(language="ko").said() == message
    assert (
        SEVERAL[4].said(language="ko") == "파일 1개"
        and SEVERAL[5].said(language="ko") == "파일 2개"
    )
    assert Message("nobody translated this").said(language="ko") == "nobody translated this"


def test_a_face_speaks_its_own_words_in_each_language() -> None:
    message = Message("leave {--molecule} out")
    assert message.said(language="ko") == "--molecule 옵션을 빼 주십시오"
    assert message.said(PYTHON, "ko") == "molecule 옵션을 빼 주십시오"


ERRORS = [
    InputError(INNER, hint=[Message("give at least one residue"), Message("remove it")]),
    CapabilityError(Message("{--recycles:{n}}: {family} recycles nothing", n=3, family="mini")),
    QuotaError(Message("{x} is used up", x=1), hint="plain", renews_at=12.0),
]


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_goes_through_processes_and_json(error) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and again.__dict__ == error.__dict__
    assert (str(again), again.field) == (str(error), error.field)
    sent = json.loads(json.dumps(describe_error(error)))
    assert retold(sent) == (error.problem, error.hint)
    korean = error.said(REQUEST, "ko")
    assert retold(sent, REQUEST, "ko") == (korean.problem, korean.hint)


def test_the_field_at_fault_and_the_remedies_are_data() -> None:
    assert ERRORS[1].field == "recycles" and ERRORS[0].field == ""
    assert InputError(INNER, field="sequence").field == "sequence"
    assert len(ERRORS[0].remedies) == 2
    assert str(ERRORS[0]).endswith("hint: give at least one residue; remove it")
    hidden = InputError(Message("{path} is empty", path="/secret/x")).mapped(lambda _: "the text")
    assert hidden.problem == "the text is empty"


def test_plain_words_of_another_release_are_said_as_they_are() -> None:
    assert retold({"problem": "it broke", "hint": "mend it"}, REQUEST, "ko") == (
        "it broke",
        "mend it",
    )


@pytest.mark.parametrize(
    ("environment", "code"),
    [
        ({"ITDA_LANG": "ko", "LANG": "en_US.UTF-8"}, "ko"),
        ({"ITDA_LANG": "en", "LANG": "ko_KR.UTF-8"}, "en"),
        ({"ITDA_LANG": "xx", "LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LC_ALL": "", "LC_MESSAGES": "ko_KR", "LANG": "de_DE"}, "ko"),
        ({"LC_MESSAGES": "de_DE.UTF-8", "LANG": "ko_KR.UTF-8"}, "en"),
        ({"LC_ALL": "POSIX"}, "en"),
    ],
)
def test_the_language_of_a_terminal(environment, code) -> None:
    assert chosen_language(environment) == code


def itda_says(*command: str, given: str = "", **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "itda", *command],
        input=given,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
    )
    assert done.returncode == 1
    return done.stderr


def test_a_refusal_in_the_terminal_is_korean(tmp_path) -> None:
    said = itda_says("fold", "-", "--out", str(tmp_path), given=">x\nMKBT\n", ITDA_LANG="ko")
    assert "오류: 표준 입력, 레코드 1 'x' (1행): 자리 3 (2행)의 B: 아스파르트산" in said
    assert "도움말: D 또는 N으로 적어 주십시오" in said and "--ambiguous x 옵션" in said
    english = itda_says("fold", "-", "--out", str(tmp_path), given=">x\nMKBT\n", ITDA_LANG="en")
    assert "error: standard input, record 1 'x' (line 1): B at position 3 (line 2)" in english


REFUSALS = {
    ">x\n": "서열이 없습니다",
    ">x\nMK-T\n": "틈(gap)",
    ">x\nMK*T\n": "종결",
    ">x\nACGTACGTACGT\n": "DNA",
    ">x\nMETGLNILEPHEVALLYSTHRLEU\n": "세 글자 표기",
    ">x\nMK/T\n": "사슬 구분 표시",
    ">x\nMKT\n>x\nMKT\n": "이미 쓴 이름",
    ">x y\nMK1T\n": "숫자",
    f">{'n' * 300}\nMKTAYIAKQR\n": "바이트까지",
    "<html>\n": "HTML",
    "CLUSTAL W\n": "정렬",
    "# nothing\n": "주석",
    "HEADER    PROTEIN\n": "구조 파일",
    "id,name\nx,y\n": "'>'",
    "{": "JSON이 아닙니다",
    "version: 1\nname: x\n": "entities",
    "version: 9\nname: x\nentities: []\n": "이어야 합니다",
    "version: 1\nname: x\nentities: [{protein: {id: A, sequence: MKT, count: 2}}]\n": "알 수 없는",
    "version: 1\nname: x\nentities: [{ion: {id: A, ccd: MG}}]\n": "접을 수 없습니다",
    "version: 1\nname: x\nentities: [{ligand: {id: A, ccd: QQQQQ}}]\n": "화학 성분 사전",
}
"""What is refused by the terminal, and a word of what is said in Korean."""


@pytest.mark.parametrize("given", REFUSALS)
def test_refusals_as_the_terminal_says_them(given, tmp_path) -> None:
    """`pytest -s -k as_the_terminal` prints them, to be read aloud."""
    said = itda_says("fold", "-", "--out", str(tmp_path), given=given, ITDA_LANG="ko")
    print(f"\n{given!r}\n{said}")
    assert REFUSALS[given] in said and said.startswith("오류: ") and "error" not in said
