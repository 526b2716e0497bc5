from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from itda.job.read import JobBatch, read_jobs

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "job.md"
KOREAN_DOCUMENTATION = DOCUMENTATION.parent / "ko" / "job.md"
UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"


@dataclass(frozen=True)
class Example:
    form: str
    line: int
    text: str


def documented_examples(page: Path = DOCUMENTATION) -> list[Example]:
    text = page.read_text(encoding="utf-8")
    return [
        Example(match[1], text.count("\n", 0, match.start()) + 1, match[2])
        for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., JobBatch]:
    """Write what an input holds to a file and read its jobs."""

    def write_and_read(content: str | bytes, name: str = "input.fasta", **options: Any) -> JobBatch:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_jobs(path, **options)

    return write_and_read


def job_dict(*entities: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "name": "example",
        "entities": list(entities) or [{"protein": {"sequence": "MKTC"}}],
        **fields,
    }


@pytest.fixture(name="job_dict")
def job_dict_fixture() -> Callable[..., dict[str, Any]]:
    """A job as a file holds it, of one short protein unless entities are given."""
    return job_dict
