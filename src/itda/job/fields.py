"""Kinds of field that several parts of a job share: ids, CCD codes, paths, residue numbers."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    SerializationInfo,
    StrictInt,
    StrictStr,
    ValidationInfo,
)

from itda.errors import InputError
from itda.job.names import check_chain_id
from itda.job.problems import field_problem, rule, shown
from itda.language import Message

_CCD_CODE = re.compile(r"[A-Z0-9]{1,5}")
_ATOM_NAME = re.compile(r"[A-Za-z0-9'*_.+-]{1,8}")
_RESIDUE_NUMBER = re.compile(r"(-?[0-9]+)([A-Za-z]?)")


def _number_as_text(value: Any) -> Any:
    return str(value) if type(value) is int else value


def _one_as_list(value: Any) -> Any:
    return (value,) if isinstance(value, str | int) and not isinstance(value, bool) else value


def _as_list_or_one(value: tuple[str, ...]) -> str | list[str]:
    return value[0] if len(value) == 1 else list(value)


def _check_ccd_code(code: str) -> str:
    if not _CCD_CODE.fullmatch(code):
        bare = code.removeprefix("CCD_").upper()
        hint = (
            Message("write {bare}", bare=bare)
            if _CCD_CODE.fullmatch(bare)
            else Message("write a code such as ATP")
        )
        raise InputError(
            Message(
                "{code} must be a code of the Chemical Component Dictionary: 1 to 5 "
                "upper-case letters and digits",
                code=shown(code),
            ),
            hint=hint,
        )
    return code


def _check_atom_name(name: str) -> str:
    if not _ATOM_NAME.fullmatch(name):
        raise InputError(
            Message("{name} must be an atom name of 1 to 8 characters", name=shown(name)),
            hint=Message(
                "write the name as in the Chemical Component Dictionary, such as CA, SG or O3'"
            ),
        )
    return name


def _check_path(path: Path, info: ValidationInfo) -> Path:
    text = str(path)
    if text.startswith(">") or "\n" in text:
        raise field_problem(
            Message("holds an alignment or a file's text where a path belongs"),
            Message("write the text to a file and give its path"),
        )
    if text in ("", ".") or not text.isprintable():
        raise field_problem(
            Message("{text} is not the path of a file", text=shown(text)),
            Message("give the path of a file"),
        )
    context = info.context or {}
    files = context.get("files")
    if files is not None and text not in files:
        raise field_problem(
            Message("{text} did not come with the job", text=shown(text)),
            Message("send the file in the same request, and name it without a folder"),
        )
    folder = context.get("folder")
    return path if folder is None else folder / path


NO_ALIGNMENT = ""
"""In the place of an alignment: none is wanted, so none is searched or made."""

_NO_ALIGNMENT_WORD = "none"
_ALIGNMENT_TEXT = re.compile(
    r">|(#|CLUSTAL|MUSCLE|PROBCONS|T-COFFEE|KALIGN|MSAPROBS|MAFFT)[^\n]*\n", re.IGNORECASE
)


def _alignment_form(value: Any, info: ValidationInfo) -> Path | str:
    if isinstance(value, Path):
        return _check_path(value, info)
    if not isinstance(value, str):
        raise field_problem(
            Message(
                "must be the path of a file, or the text of an alignment, not {value}",
                value=shown(value),
            ),
            Message("put a path in quotes; 'none' is for none"),
        )
    if value in (NO_ALIGNMENT, _NO_ALIGNMENT_WORD):
        return NO_ALIGNMENT
    if not value.strip():
        raise field_problem(
            Message("holds nothing but blanks"),
            Message("write 'none' where no alignment is wanted"),
        )
    start = value.lstrip("\ufeff \t\r\n")
    return value if _ALIGNMENT_TEXT.match(start) else _check_path(Path(value), info)


def _alignment_out(value: Path | str, info: SerializationInfo) -> str:
    if isinstance(value, Path):
        written = _path_or_digest(value, info)
        return f"./{written}" if written == _NO_ALIGNMENT_WORD else written
    # The same text in a file is the same to a digest.
    is_digest = value != NO_ALIGNMENT and isinstance(info.context, dict)
    return (
        hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest() if is_digest else value
    )


def _path_or_digest(path: Path, info: SerializationInfo) -> str:
    context = info.context
    return context[path] if isinstance(context, dict) else str(path)


Text = Annotated[StrictStr, BeforeValidator(_number_as_text, json_schema_input_type=str | int)]
"""A string; a whole number, as YAML reads `id: 1`, is taken for its digits."""

ChainId = Annotated[Text, rule(check_chain_id)]
CcdCode = Annotated[Text, rule(_check_ccd_code)]
AtomName = Annotated[Text, rule(_check_atom_name)]
Position = Annotated[StrictInt, Field(ge=1)]
"""The place of a residue in its sequence, counted from 1, whatever number the residue carries."""

FilePath = Annotated[
    Path, AfterValidator(_check_path), PlainSerializer(_path_or_digest, return_type=str)
]
"""A file. In a job file it is relative to the folder of the job file."""

AlignmentInput = Annotated[
    Path | str,
    PlainValidator(_alignment_form, json_schema_input_type=str),
    PlainSerializer(_alignment_out, return_type=str),
]
"""An alignment: the path of a file, its text, or `NO_ALIGNMENT`, as `none` is read.

A text begins with `>`, or with the first line of another form of alignments.
"""

ChainIds = Annotated[
    tuple[ChainId, ...],
    BeforeValidator(_one_as_list, json_schema_input_type=ChainId | tuple[ChainId, ...]),
    PlainSerializer(_as_list_or_one),
]
CcdCodes = Annotated[
    tuple[CcdCode, ...],
    BeforeValidator(_one_as_list, json_schema_input_type=CcdCode | tuple[CcdCode, ...]),
    PlainSerializer(_as_list_or_one),
]
Angstrom = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False, strict=True)]


class ResidueNumber(NamedTuple):
    """The number that a residue carries in files: 52 and "A" for 52A, else "" for the code."""

    number: int
    insertion_code: str


def parse_residue_number(text: int | str) -> ResidueNumber:
    """Read a residue number with or without an insertion code.

    Raises:
        InputError: It is neither a whole number nor one followed by a single letter.

    >>> parse_residue_number("52A")
    ResidueNumber(number=52, insertion_code='A')
    """
    match = _RESIDUE_NUMBER.fullmatch(str(text))
    if match is None:
        raise InputError(
            Message("{text} is not a residue number", text=shown(text)),
            hint=Message("write a whole number, or one with an insertion code such as 52A"),
        )
    return ResidueNumber(int(match[1]), match[2])
