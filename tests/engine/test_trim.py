import pytest

from itda.engine.inputs import read_input
from itda.engine.plan import Settings, make_plan
from itda.engine.trim import trim, trim_job
from itda.errors import CapabilityError
from itda.models.registry import get_family
from itda.parity.flashabb import HEAVY, LIGHT

CONSTANT_HEAVY = "ASTKGPSVFPLAPSSKSTSGGTAALGCLVKDYFPEPVTVSWNSGALTSGVHTFPAVLQSSGLYSLSSVVTVPSSS"
CONSTANT_LIGHT = "RTVAAPSVFIFPPSDEQLKSGTASVVCLLNNFYPREAKVQWKVDNALQSGNSQESVTEQDSKDSTYSLSSTLTLS"


@pytest.fixture
def flashabb():
    return get_family("flashabb")


def read(tmp_path, text):
    path = tmp_path / "ab.fasta"
    path.write_text(text)
    return read_input(path)


def test_what_is_cut_is_folded_and_said(tmp_path, flashabb):
    batch = read(
        tmp_path, f">bad\nMB\n>fab\n{HEAVY}{CONSTANT_HEAVY}:{LIGHT}{CONSTANT_LIGHT}\n"
        f">fv\n{LIGHT}:{HEAVY}\n"
    )  # fmt: skip
    assert len(make_plan(batch.jobs, Settings(flashabb)).refusals) == 1
    cut = trim(batch, flashabb)
    assert [job.name for job in cut.jobs] == ["fab", "fv"]
    assert not make_plan(cut.jobs, Settings(flashabb)).refusals
    said = [str(warning) for warning in cut.warnings]
    assert said == [
        "record 2 'fab': chain A is the heavy variable domain, residues 1 to 121 of the 196 of "
        "chain A",
        "record 2 'fab': chain B is the light variable domain, residues 1 to 112 of the 187 of "
        "chain B",
    ]


def test_families_of_whole_chains_refuse_to_cut(tmp_path):
    (job,) = read(tmp_path, f">x\n{HEAVY}\n").jobs
    with pytest.raises(CapabilityError, match="--trim: mini folds chains as they are") as caught:
        trim_job(job, get_family("mini"))
    assert "`--model flashabb`" in caught.value.hint


def test_two_records_of_one_antibody_are_told_to_be_joined(tmp_path, flashabb):
    batch = read(tmp_path, f">h\n{HEAVY}\n>l\n{LIGHT}\n>other\n{HEAVY[:60]}\n")
    plan = make_plan(batch.jobs, Settings(flashabb))
    hints = {refusal.job: refusal.error.hint for _, refusal in plan.refusals}
    assert "h is a heavy chain and l a light one" in hints["h"]
    assert hints["l"].endswith("h:l")
    assert "h:l" not in hints["other"]
