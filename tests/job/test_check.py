from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from itda.errors import InputError
from itda.job.check import check_job
from itda.job.model import Job

JobDict = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("field", ["msa", "paired_msa", "profile"])
def test_missing_files_are_named_with_job_and_field(job_dict: JobDict, field: str) -> None:
    job = Job.from_dict(job_dict({"protein": {"sequence": "MK", field: "/nowhere"}}))
    with pytest.raises(InputError) as caught:
        check_job(job)
    assert caught.value.problem == (
        f"job 'example': entity 1 (protein), {field}: '/nowhere' does not exist"
    )
    assert caught.value.hint


def test_templates_and_components_are_looked_for(job_dict: JobDict, tmp_path: Path) -> None:
    protein = {"sequence": "MK", "templates": [{"path": str(tmp_path)}]}
    with pytest.raises(InputError, match=r"template 1, path: .* is a folder"):
        check_job(Job.from_dict(job_dict({"protein": protein})))
    with pytest.raises(InputError, match="components: '/nowhere' does not exist"):
        check_job(Job.from_dict(job_dict(components="/nowhere")))


@pytest.mark.parametrize(
    ("path", "said"),
    [("x" * 300, "cannot be opened: File name too long"), ("/dev/null/x", "does not exist")],
)
def test_paths_that_cannot_be_are_told_so(job_dict: JobDict, path: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        check_job(Job.from_dict(job_dict({"protein": {"sequence": "MK", "msa": path}})))


def test_plain_proteins_do_not_wait_for_the_dictionary() -> None:
    code = (
        "import sys\nfrom itda.job.check import check_job\nfrom itda.job.model import Job\n"
        "check_job(Job.from_sequence('a', 'MKT:AC'))\nprint('biotite' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
