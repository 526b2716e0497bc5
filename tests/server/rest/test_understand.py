"""What an input holds: every form of it, and nothing of the server's own files."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from types import SimpleNamespace

import pytest

from itda.errors import CapabilityError, InputError
from itda.server.errors import TooLargeError
from itda.server.settings import Limits
from itda.server.understand import Understanding, Upload
from itda.wire import UBIQUITIN, Options
from tests.patience import PATIENCE_SECONDS

A3M = f">ubiquitin\n{UBIQUITIN}\n>relative\n{UBIQUITIN.replace('K', 'R')}\n".encode()
YAML = """version: 1
name: ubiquitin
entities:
  - protein: {{sequence: {sequence}, msa: {path}}}
"""


class NoQueue:
    def __init__(self, *workers) -> None:
        self.registered = list(workers)

    def workers(self):
        return self.registered

    def start_estimate(self, device_kind, seconds):
        return 7.0


class Kept:
    """Artefacts in memory."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def put(self, content: bytes):
        digest = hashlib.sha256(content).hexdigest()
        self.files[digest] = content
        return digest, len(content)


@pytest.fixture
def understanding() -> Understanding:
    return Understanding(NoQueue(), limits=Limits(expanded_bytes=200_000, jobs=50))


def as_fasta(name="ubiquitin", sequence=UBIQUITIN) -> str:
    return f">{name}\n{sequence}\n"


def as_job(**more) -> dict:
    return {
        "version": 1,
        "name": "ubiquitin",
        "entities": [{"protein": {"sequence": UBIQUITIN}}],
        **more,
    }


@pytest.mark.parametrize(
    "text",
    [
        as_fasta(),
        UBIQUITIN,
        UBIQUITIN.lower(),
        f"{UBIQUITIN[:40]}\n{UBIQUITIN[40:]}\n",
        json.dumps(as_job()),
        json.dumps([as_job()]),
        "version: 1\nname: ubiquitin\nentities:\n  - protein:\n      sequence: " + UBIQUITIN,
        as_fasta().replace("\n", "\r\n"),
        as_fasta().encode("utf-16"),
        gzip.compress(as_fasta().encode(), mtime=0),
    ],
)
def test_every_form_of_one_protein(understanding, text):
    found = understanding.understand(text)
    assert found.problems == ()
    (record,) = found.records
    assert record.error is None
    assert [(chain.molecule, chain.length, chain.ids) for chain in record.chains] == [
        ("protein", 76, ("A",))
    ]
    assert (record.residues, record.verdict, found.accepted) == (76, "runs", 1)
    assert record.seconds > 0 and record.bytes > 10**6
    assert found.seconds > record.seconds
    assert found.starts_in_seconds == 7.0


def test_files_are_read_as_pasted_text_is(understanding):
    for name, content in (
        ("one.fasta", as_fasta().encode()),
        ("one.fa.gz", gzip.compress(as_fasta().encode(), mtime=0)),
        ("one.json", json.dumps(as_job()).encode()),
    ):
        found = understanding.understand(files=[Upload(name, content)])
        assert [(one.name, one.file) for one in found.records] == [("ubiquitin", name)]


def test_a_bad_record_leaves_the_others_alone(understanding):
    found = understanding.understand(as_fasta("a") + ">b\nMKT1\n" + as_fasta("c"))
    assert [record.name for record in found.records] == ["a", "b", "c"]
    assert [record.index for record in found.records] == [1, 2, 3]
    assert found.records[1].error.problem.startswith("the text, record 2 'b' (line 3):")
    assert (found.accepted, found.total) == (2, 3)


def test_each_family_says_whether_it_can(understanding):
    found = {one.name: one for one in understanding.understand(as_fasta()).families}
    assert found["mini"].can
    assert not found["flashabb"].can
    assert "antibody" in found["flashabb"].refusals[0].problem
    complex_ = understanding.understand(f"{UBIQUITIN}:{UBIQUITIN}")
    assert complex_.records[0].chains[0].ids == ("A", "B")
    assert complex_.records[0].verdict == "refused"
    assert "--model" not in complex_.records[0].error.hint


def test_the_cost_is_of_the_largest_worker():
    def worker(memory_bytes, state="active", kind="cpu"):
        return SimpleNamespace(
            device_kind=kind, device="AMD EPYC", memory_bytes=memory_bytes, state=state
        )

    queue = NoQueue(worker(10**6), worker(2 * 10**9), worker(10**12, state="gone"))
    understanding = Understanding(queue, limits=Limits())
    assert understanding.understand(as_fasta()).accepted == 1
    small = Understanding(NoQueue(worker(10**6)), limits=Limits()).understand(as_fasta())
    assert small.accepted == 0
    assert "the largest worker has" in small.records[0].error.problem
    gpu = Understanding(NoQueue(worker(10**11, kind="gpu")), limits=Limits())
    assert gpu.understand(as_fasta()).device_kind == "gpu"


def test_what_would_run_too_long_is_refused_with_the_numbers(understanding, tmp_path):
    assert understanding.understand(as_fasta()).accepted == 1
    strict = Understanding(NoQueue(), limits=Limits(job_seconds=1e-6))
    found = strict.understand(as_fasta())
    assert found.accepted == 0
    assert "would run for" in found.records[0].error.problem
    assert "a job may run for" in found.records[0].error.problem
    assert "ITDA_JOB_HOURS" in found.records[0].error.hint
    with pytest.raises(CapabilityError, match="would run for"):
        strict.prepare(as_fasta(), artefacts=None)


def test_samples_and_seeds_cost_more(understanding):
    options = Options(samples=5)
    one = understanding.understand(as_fasta())
    five = understanding.understand(as_fasta(), options=options)
    assert five.records[0].samples == 5
    assert five.seconds > one.seconds
    two_seeds = understanding.understand(json.dumps(as_job(seeds=[1, 2])))
    assert two_seeds.records[0].seconds == pytest.approx(2 * one.records[0].seconds)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../../etc/passwd",
        "sub/own.a3m",
        ".input",
        "none.a3m",
    ],
)
@pytest.mark.parametrize("field", ["msa", "profile", "templates", "components"])
def test_jobs_name_only_files_of_their_request(understanding, path, field):
    job = as_job()
    if field == "components":
        job["components"] = path
    else:
        value = [{"path": path}] if field == "templates" else path
        job["entities"][0]["protein"][field] = value
    found = understanding.understand(json.dumps(job), [Upload("own.a3m", A3M)])
    (record,) = found.records
    assert "did not come with the job" in record.error.problem
    with pytest.raises(InputError, match="did not come with the job"):
        understanding.prepare(json.dumps(job), [Upload("own.a3m", A3M)], artefacts=Kept())


def test_prepare_names_files_plainly_and_keeps_them(understanding):
    kept = Kept()
    text = YAML.format(sequence=UBIQUITIN, path="own.a3m")
    (job,) = understanding.prepare(
        text, [Upload("own.a3m", A3M)], Options(seed=3, samples=2), artefacts=kept
    )
    assert job.document["entities"] == [
        {"protein": {"id": "A", "sequence": UBIQUITIN, "msa": "own.a3m"}}
    ]
    assert job.settings == {"seed": 3, "samples": 2}
    (file,) = job.inputs
    assert (file.kind, file.name, kept.files[file.digest]) == ("own.a3m", "own.a3m", A3M)
    assert job.tokens == 76
    assert job.need_bytes > 0 and job.need_seconds > 0


def test_files_called_after_a_job_belong_to_it(understanding):
    kept = Kept()
    (job,) = understanding.prepare(as_fasta(), [Upload("ubiquitin.a3m", A3M)], artefacts=kept)
    assert job.document["entities"][0]["protein"]["msa"] == "ubiquitin.a3m"
    found = understanding.understand(as_fasta(), [Upload("other.a3m", A3M)])
    assert "named by no job" in found.problems[0].problem
    with pytest.raises(InputError, match="named by no job"):
        understanding.prepare(as_fasta(), [Upload("other.a3m", A3M)], artefacts=kept)


def test_prepare_tells_what_it_leaves_out(understanding):
    prepared = understanding.prepare(as_fasta("a") + as_fasta("b", "MKT"), artefacts=Kept())
    assert [job.name for job in prepared] == ["a"]
    assert [(one.index, one.name) for one in prepared.rejected] == [(2, "b")]
    with pytest.raises(CapabilityError, match="10 residues or more"):
        understanding.prepare(as_fasta("b", "MKT"), artefacts=Kept())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../job.fasta", "is a path"),
        ("..\\job.fasta", "is a path"),
        (".profile", "begins with '.'"),
        ("a\x00.fasta", "cannot be printed"),
        ("", "is empty"),
        ("x" * 201, "bytes long"),
        ("con.fasta", "device on Windows"),
    ],
)
def test_names_of_files_are_names(understanding, name, said):
    found = understanding.understand(files=[Upload(name, as_fasta().encode())])
    assert said in found.problems[0].problem


def test_two_files_of_one_name_are_refused(understanding):
    files = [Upload("a.fasta", as_fasta().encode()), Upload("A.fasta", as_fasta().encode())]
    assert "sent twice" in understanding.understand(files=files).problems[0].problem


def test_a_bomb_is_refused_before_it_is_unpacked(understanding):
    bomb = gzip.compress(b">a\n" + b"A" * 50_000_000, mtime=0)
    assert len(bomb) < 100_000
    for name in ("bomb.fasta.gz", "bomb.a3m.gz"):
        found = understanding.understand(as_fasta(), [Upload(name, bomb)])
        assert "more than 200000 bytes" in found.problems[0].problem
        with pytest.raises(TooLargeError):
            understanding.prepare(as_fasta(), [Upload(name, bomb)], artefacts=Kept())
    many = [Upload(f"{n}.fasta", as_fasta(f"a{n}", UBIQUITIN * 600).encode()) for n in range(5)]
    assert "bytes in all" in understanding.understand(files=many).problems[0].problem


def test_damaged_gzip_is_said(understanding):
    whole = gzip.compress(as_fasta().encode(), mtime=0)
    for content in (whole[:-9], whole[:12] + b"\x00\xff" + whole[14:]):
        found = understanding.understand(files=[Upload("a.fasta.gz", content)])
        assert "gzip" in found.problems[0].problem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no record"),
        ("   \n", "no record"),
        ("{", "not JSON"),
        ("[" * 20_000, "nested too deeply"),
        ("a: " + "[" * 20_000, "nested too deeply"),
        ("<html><body>hello</body></html>", "HTML"),
        ("a: &x [1]\nb: *x", "anchor"),
        ("1: !!python/object:os.system x", "tag"),
        (as_fasta() * 51, "51 records"),
        ("\x00\x01\x02\x03binary", "binary"),
    ],
)
def test_what_is_no_input_is_said(understanding, text, said):
    assert said in understanding.understand(text).problems[0].problem


def test_endless_yaml_is_refused_before_it_is_read():
    text = "version: 1\nname: a\nseeds: [" + "1," * 100_001 + "1]\n"
    found = Understanding(NoQueue(), limits=Limits()).understand(text)
    assert "values" in found.problems[0].problem


def test_an_alignment_belongs_to_the_one_record_of_the_file_of_its_name(understanding):
    kept = Kept()
    files = [Upload("kinase.fasta", as_fasta("sp|X|Y").encode()), Upload("kinase.a3m", A3M)]
    (job,) = understanding.prepare("", files, artefacts=kept)
    assert job.document["name"] == "sp|X|Y"
    assert job.document["entities"][0]["protein"]["msa"] == "kinase.a3m"


def test_an_alignment_by_itself_is_a_job(understanding):
    kept = Kept()
    (job,) = understanding.prepare("", [Upload("kinase.a3m", A3M)], artefacts=kept)
    assert job.document["name"] == "kinase"
    assert job.document["entities"][0]["protein"]["msa"] == "kinase.a3m"
    found = understanding.understand("", [Upload("kinase.a3m", b">q\nMK\n>r\nM\n")])
    assert "kinase.a3m: row 2" in found.problems[0].problem


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("MKTAYIAKQR QISFVKSHFS", ["sequence_1"]),
        ("MKTAYIAKQRQISFVKSHFS\n\nMKVLAAGIVGMKVLAAGIVG\n", ["sequence_1", "sequence_2"]),
        ("id,sequence\na/b,MKTAYIAKQR\nc,MKVLAAGIVG\n", ["a/b", "c"]),
        ("  1 mktayiakqr qisfvkshfs\n", ["sequence_1"]),
        (">UBC_HUMAN/1-10\nMet Gln Ile Phe Val Lys Thr Leu Thr Gly\n", ["UBC_HUMAN/1-10"]),
    ],
)
def test_sequences_are_read_as_people_paste_them(understanding, text, names):
    found = understanding.understand(text)
    assert [record.name for record in found.records] == names
    assert not any(record.error for record in found.records)


def test_html_in_a_name_stays_text(understanding):
    name = "<img/src=x>"
    found = understanding.understand(as_fasta(name))
    assert found.records[0].name == name


@pytest.mark.parametrize("value", ["\x00", "\ud800", 1e999])
def test_what_a_database_cannot_keep_is_refused(understanding, value):
    text = json.dumps(as_job(metadata={"note": [value]})).replace("Infinity", "1e999")
    with pytest.raises(InputError, match="cannot be kept"):
        understanding.prepare(text, artefacts=Kept())


def test_a_job_too_large_for_the_database_is_refused():
    understanding = Understanding(NoQueue(), limits=Limits())
    text = json.dumps(as_job(metadata={"note": "x" * 2**20}))
    with pytest.raises(InputError, match="are kept of a job"):
        understanding.prepare(text, artefacts=Kept())


def test_errors_do_not_tell_where_the_server_keeps_files(understanding):
    sources = [
        ("", [Upload("a.yaml", b"version: 1\nname: [")]),
        ("", [Upload("a.fasta", b">a\nMKT1\n")]),
        (json.dumps(as_job(components="c.cif")), [Upload("c.cif", b"data_x\n")]),
        (as_fasta(), [Upload("ubiquitin.a3m", A3M), Upload("ubiquitin.sto", A3M)]),
    ]
    for text, files in sources:
        told = understanding.understand(text, files).model_dump_json()
        assert "/tmp" not in told and "itda-" not in told, told
        assert "problem" in told


def test_a_million_loops_of_mmcif_are_refused_in_time():
    loops = io.StringIO()
    loops.write("data_x\n")
    for number in range(200_000):
        loops.write(f"loop_\n_a{number}.b\n1\n")
    understanding = Understanding(NoQueue(), limits=Limits())
    job = json.dumps(as_job(components="c.cif"))
    found = understanding.understand(job, [Upload("c.cif", loops.getvalue().encode())])
    assert found.records[0].error is not None


def test_options_of_a_family_are_checked(understanding, tmp_path, monkeypatch):
    monkeypatch.setenv("ITDA_DATABASES", str(tmp_path))
    found = understanding.understand(as_fasta(), options=Options(family="nothing"))
    assert "no model family" in found.problems[0].problem
    found = understanding.understand(as_fasta(), options=Options(templates="absent"))
    assert found.problems[0].kind == "DataError"
    assert found.problems[0].problem == "there is no database absent in the folder of this server"
    found = understanding.understand(as_fasta(), options=Options(msa="mmseqs"))
    assert str(tmp_path) not in str(found.problems) and "server:" not in str(found.problems)
    found = understanding.understand(as_fasta(), options=Options(family="flashabb", recycles=3))
    assert "recycles" in found.problems[0].problem


def test_a_server_that_starts_is_ready_for_its_first_request(understanding):
    understanding.warm().join(PATIENCE_SECONDS)
    assert understanding.costs._predictors
