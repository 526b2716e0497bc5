import subprocess
import sys

import pytest

from itda.errors import CapabilityError
from itda.job.model import Job
from itda.models.flashabb.family import FAMILY
from itda.parity.flashabb import HEAVY, LIGHT


def job(*sequences, **fields):
    entities = [
        {"protein": {"id": id_, "sequence": s}} for id_, s in zip("ABC", sequences, strict=False)
    ]
    return Job.model_validate({"name": "ab", "entities": entities, **fields})


def test_a_pair_in_either_order_passes():
    FAMILY.check(job(HEAVY, LIGHT))
    FAMILY.check(job(LIGHT, HEAVY))
    FAMILY.check(job(HEAVY[:40] + "XX" + HEAVY[42:], LIGHT))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (job(HEAVY, LIGHT, LIGHT), r"has 3 \(A, B, C\)"),
        (job(HEAVY + "G" * 60, LIGHT), "the variable domain is residues 1 to 121"),
        (job(HEAVY, LIGHT, samples=2), "one structure, whatever the seed"),
        (job(HEAVY, LIGHT, seeds=[1, 2]), "one structure, whatever the seed"),
        (job("X" * 110, LIGHT), "chain A: 110 residues, none of which"),
        (
            Job.model_validate(
                {
                    "name": "ab",
                    "entities": [
                        {"protein": {"id": "A", "sequence": HEAVY}},
                        {"rna": {"id": "R", "sequence": "GGCUAGCC"}},
                    ],
                }
            ),
            "folds protein only",
        ),
        (
            Job.model_validate(
                {
                    "name": "ab",
                    "entities": [
                        {
                            "protein": {
                                "id": "A",
                                "sequence": HEAVY,
                                "modifications": [{"position_1based": 3, "ccd": "SEP"}],
                            }
                        },
                        {"protein": {"id": "B", "sequence": LIGHT}},
                    ],
                }
            ),
            "SEP at position 3",
        ),
    ],
)
def test_what_it_does_not_fold_is_refused_by_name(given, said):
    with pytest.raises(CapabilityError, match=said) as caught:
        FAMILY.check(given)
    assert caught.value.hint


def test_a_job_is_refused_without_pytorch():
    script = (
        "import sys; from itda.models.flashabb import FAMILY; from itda.job.model import Job; "
        f"job = Job.model_validate({{'name': 'a', 'entities': [{{'protein': {{'id': 'A', "
        f"'sequence': '{HEAVY}'}}}}, {{'protein': {{'id': 'B', 'sequence': '{LIGHT}'}}}}]}}); "
        "FAMILY.check(job); print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
