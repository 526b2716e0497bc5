"""Evidence before the fold, through the engine."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from fake_search import STEPS, BrokenSource, ChangingSource, FakeSource, FakeTemplates

from itda.engine.engine import Engine
from itda.engine.events import (
    JobFailed,
    JobFinished,
    JobWarned,
    StageFinished,
    StageProgress,
)
from itda.engine.plan import Settings
from itda.engine.searches import Searches
from itda.errors import CapabilityError, DataError, InputError
from itda.job.entities import TemplateFile
from itda.job.model import Job
from itda.models.family import Capabilities
from itda.search.templates.selection import ENOUGH, TemplateLimits
from itda.store.store import Store

SEQUENCE = "MKTAYIAKQRQISFVK"


@pytest.fixture
def engine(store) -> Engine:
    return Engine(store, "cpu")


@pytest.fixture
def source() -> FakeSource:
    return FakeSource()


def run(engine, jobs, source=None, templates=None, **settings):
    searches = Searches(source, templates)
    return list(engine.run(jobs, searches=searches, **settings))


def result(events):
    (finished,) = [event.result for event in events if isinstance(event, JobFinished)]
    return finished


def failures(events):
    return [event for event in events if isinstance(event, JobFailed)]


def stages(events):
    return [(e.stage, e.cached) for e in events if isinstance(e, StageFinished)]


def with_msa(job: Job, path) -> Job:
    return job.replace(entities=(job.entities[0].replace(msa=path),))


def test_the_model_gets_what_was_found(engine, family, job, source) -> None:
    events = run(engine, [job], source, FakeTemplates())
    assert stages(events) == [
        ("alignment", False), ("templates", False), ("predict", False), ("validity", False),
    ]  # fmt: skip
    evidence = family.evidence_of("helix").chains["A"]
    assert evidence.alignment.query == SEQUENCE and len(evidence.alignment) == 1 + STEPS
    assert evidence.alignment.texts[1] == "Wgg" + "-" * 15
    assert [template.name for template in evidence.templates] == ["0abc_A"]


def test_progress_and_result_of_a_search_are_told(engine, family, job, source) -> None:
    events = run(engine, [job], source, FakeTemplates())
    told = [e for e in events if isinstance(e, StageProgress) and e.stage == "alignment"]
    assert [(e.fraction, e.message) for e in told][1] == (0.25, "step 2 of 4")
    said = {e.stage: e.message for e in events if isinstance(e, StageFinished)}
    assert said["alignment"] == "4 relatives"
    assert said["templates"] == ("1 template: 0abc_A (100%); refused: 2 released after 2021-09-30")


def test_without_searches_nothing_is_gathered(engine, family, job) -> None:
    assert [name for name, _ in stages(run(engine, [job]))] == ["predict", "validity"]
    evidence = family.evidence_of("helix").chains["A"]
    assert evidence.alignment is None and evidence.templates == ()


def test_second_run_searches_nothing_and_gives_the_same(store, family, job, source) -> None:
    finder = FakeTemplates()
    first = run(Engine(store, "cpu"), [job], source, finder)
    second = run(Engine(Store(store.folder), "cpu"), [job], source, finder)
    assert source.queries == [SEQUENCE] and len(finder.alignments) == 1
    assert stages(second) == [(name, True) for name, _ in stages(first)]
    assert result(second).cached and not result(first).cached
    assert result(first).provenance == result(second).provenance
    said = [
        [e.message for e in events if isinstance(e, StageFinished)] for events in (first, second)
    ]
    assert said[0] == said[1]


def test_what_is_found_again_is_what_was_found(store, family, job, source) -> None:
    """A second seed folds with the stored evidence; it is the searched one to the bit."""
    run(Engine(store, "cpu"), [job], source, FakeTemplates())
    before = family.evidence_of("helix").chains["A"]
    run(Engine(store, "cpu"), [job], source, FakeTemplates(), seed=1)
    after = family.evidence_of("helix").chains["A"]
    assert after is not before and after.alignment == before.alignment
    assert np.array_equal(after.alignment.rows, before.alignment.rows)
    assert after.alignment.source == ("", *["one"] * STEPS)
    (one,), (other,) = before.templates, after.templates
    assert np.array_equal(one.coordinates, other.coordinates) and one.e_value == other.e_value


def test_changed_database_is_searched_and_folded_anew(engine, family, job, source) -> None:
    first = result(run(engine, [job], source))
    source.database = "two"
    second = result(run(engine, [job], source))
    assert source.queries == [SEQUENCE] * 2 and family.folded == ["helix"] * 2
    assert first.provenance.inputs["alignment"] != second.provenance.inputs["alignment"]
    assert first.digest != second.digest
    source.database = "one"
    run(engine, [job], source)
    assert len(source.queries) == 2


def test_changed_template_database_is_searched_anew(engine, family, job, source) -> None:
    for finder in (FakeTemplates(), FakeTemplates("other"), FakeTemplates(count=2)):
        run(engine, [job], source, finder)
        assert len(finder.alignments) == 1
    assert len(source.queries) == 1


def test_templates_are_searched_with_the_alignment(engine, family, job, source) -> None:
    finder = FakeTemplates()
    run(engine, [job], source, finder)
    run(engine, [job], None, finder)
    assert [alignment and len(alignment) for alignment in finder.alignments] == [5, None]


def test_same_alignment_of_another_search_is_folded_once(engine, family, job) -> None:
    """The fold depends on what was found, the provenance on where."""
    run(engine, [job], FakeSource("one"))

    class Renamed(FakeSource):
        def key(self):
            return {"source": "fake", "version": 2}

        @property
        def title(self):
            return "fake, version 2"

    again = result(run(engine, [job], Renamed("one")))
    assert family.folded == ["helix"]
    assert again.provenance.inputs["alignment_source"] == "fake, version 2"
    assert json.loads(again.provenance.inputs["alignment_search"]) == {
        "source": "fake",
        "version": 2,
    }


def test_provenance_says_where_the_evidence_came_from(engine, family, job, source) -> None:
    inputs = result(run(engine, [job], source, FakeTemplates())).provenance.inputs
    evidence = family.evidence_of("helix").chains["A"]
    assert inputs["alignment"] == evidence.alignment.digest and inputs["alignment_rows"] == "5"
    assert inputs["alignment_source"] == "fake in one"
    assert json.loads(inputs["alignment_search"]) == {"source": "fake", "database": "one"}
    assert inputs["templates"] == "0abc_A"
    assert inputs["template_source"] == "fake templates in structures"
    assert json.loads(inputs["template_search"])["database"] == "structures"
    assert inputs["templates_refused"] == "2 released after 2021-09-30"
    assert inputs["sequence"].startswith("sha256:")


def test_provenance_of_an_earlier_run_is_not_taken_over(engine, family, job, tmp_path) -> None:
    source = FakeSource()
    run(engine, [job], source)
    path = tmp_path / "same.a3m"
    path.write_text(family.evidence_of("helix").chains["A"].alignment.to_a3m())
    inputs = result(run(engine, [with_msa(job, path)])).provenance.inputs
    assert family.folded == ["helix"]
    assert inputs["alignment_source"] == "same.a3m" and "alignment_search" not in inputs


def test_alignment_of_the_job_is_read_and_not_searched(engine, family, job, source, tmp_path):
    path = tmp_path / "own.a3m"
    path.write_text(f">q\n{SEQUENCE}\n>r\n{SEQUENCE[:-1]}W\n")
    for _ in range(2):
        events = run(engine, [with_msa(job, path)], source)
    assert source.queries == []
    assert len(family.evidence_of("helix").chains["A"].alignment) == 2
    assert stages(events) == [("alignment", False), ("predict", True), ("validity", True)]
    assert result(events).cached


def test_changed_alignment_file_is_folded_anew(engine, family, job, tmp_path) -> None:
    path = tmp_path / "own.a3m"
    for letter in "WY":
        path.write_text(f">q\n{SEQUENCE}\n>r\n{SEQUENCE[:-1]}{letter}\n")
        run(engine, [with_msa(job, path)])
    assert family.folded == ["helix", "helix"]


def test_alignment_of_another_sequence_fails_its_job_alone(engine, family, job, tmp_path) -> None:
    path = tmp_path / "foreign.a3m"
    path.write_text(">q\nMKV\n")
    events = run(engine, [with_msa(job, path), Job.from_sequence("good", SEQUENCE[1:])])
    (failure,) = failures(events)
    assert failure.job == "helix" and isinstance(failure.error, InputError)
    assert "foreign.a3m" in str(failure.error) and result(events).name == "good"


UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"
EXAMPLE = "src/itda/data/examples/1ubq.cif"


def with_templates(*files: TemplateFile, sequence: str = UBIQUITIN) -> Job:
    job = Job.from_sequence("ubiquitin", sequence)
    return job.replace(entities=(job.entities[0].replace(templates=files),))


def test_templates_of_the_job_come_first_and_the_search_fills_up(engine, family) -> None:
    finder = FakeTemplates(count=4)
    events = run(engine, [with_templates(TemplateFile(path=EXAMPLE))], None, finder)
    assert finder.alignments == [None]
    evidence = family.evidence_of("ubiquitin").chains["A"]
    # The first hit of the search lays the same residues along the query.
    assert [one.name for one in evidence.templates] == ["1ubq_A"]
    own, *searched, late = evidence.hits
    assert (own.origin, own.source, own.used, own.identity) == ("given", "1ubq.cif", True, 1.0)
    assert {(hit.origin, hit.used, hit.reason) for hit in searched} == {
        ("searched", False, "the same letters along the query as a better one")
    }
    assert not late.used
    source = result(events).provenance.inputs["template_source"]
    assert source == "1ubq.cif, fake templates in structures"


def test_as_many_as_are_asked_for_in_all(engine, family) -> None:
    shift = TemplateFile(
        path=EXAMPLE,
        chain="A",
        query_positions_1based=tuple(range(1, 41)),
        template_positions_1based=tuple(range(2, 42)),
    )
    run(engine, [with_templates(shift)], None, FakeTemplates(count=4))
    evidence = family.evidence_of("ubiquitin").chains["A"]
    assert [one.name for one in evidence.templates] == ["1ubq_A", "0abc_A", "1abc_A", "2abc_A"]
    assert [hit.reason for hit in evidence.hits if hit.name == "3abc_A"] == [ENOUGH]


def test_nothing_is_searched_where_enough_is_given(engine, family) -> None:
    files = [
        TemplateFile(
            path=EXAMPLE,
            query_positions_1based=tuple(range(1, 41)),
            template_positions_1based=tuple(range(first, first + 40)),
        )
        for first in (1, 2, 3, 4, 5)
    ]
    finder = FakeTemplates()
    events = run(engine, [with_templates(*files)], None, finder)
    assert finder.alignments == [] and ("templates", False) in stages(events)
    assert len(family.evidence_of("ubiquitin").chains["A"].templates) == 5


def test_limits_of_the_search_are_told_of_a_given_one_that_breaks_them(engine, family) -> None:
    limits = TemplateLimits(max_identity=0.3, max_date=date(1980, 1, 1))
    settings = Settings(family, searches=Searches(None, FakeTemplates(), limits))
    plan = engine.plan([with_templates(TemplateFile(path=EXAMPLE))], settings)
    told = [event.message for event in engine.run_plan(plan) if isinstance(event, JobWarned)]
    assert len(told) == 2 and family.evidence_of("ubiquitin").chains["A"].templates
    assert "100% identity; --max-template-identity 0.3 holds for what is searched" in told[0]
    assert "released 1987-04-16" in told[1] and "--max-template-date 1980-01-01" in told[1]


def test_a_given_template_of_a_stranger_is_told(engine, family) -> None:
    other = "GDSGKPLISGHWAQCTDRWLDPSTQAFNGWHTEDKRLLNPYWCGFSDVAERTGKPWHHSDN"
    events = run(engine, [with_templates(TemplateFile(path=EXAMPLE), sequence=other)])
    told = [event.message for event in events if isinstance(event, JobWarned)]
    assert len(told) == 1 and "is it the right chain?" in told[0]


def test_failed_search_is_its_job_s_alone(engine, family, job, source) -> None:
    class OneFails(FakeSource):
        def search(self, query, *, work, progress):
            if query == SEQUENCE:
                raise DataError("mmseqs ended with status 1", hint="look")
            return super().search(query, work=work, progress=progress)

    events = run(engine, [job, Job.from_sequence("good", SEQUENCE[1:])], OneFails())
    (failure,) = failures(events)
    assert failure.job == "helix" and not failure.refused and not failure.traceback
    assert result(events).name == "good"


def test_fault_of_a_source_is_its_job_s_alone(engine, family, job, source) -> None:
    source.error = ZeroDivisionError("inside")
    (failure,) = failures(run(engine, [job], source))
    assert not failure.expected and "fake_search" in failure.traceback


def test_alignment_of_another_query_is_never_used(engine, family, job) -> None:
    class Confused(FakeSource):
        def search(self, query, *, work, progress):
            return super().search(query[1:], work=work, progress=progress)

    (failure,) = failures(run(engine, [job], Confused()))
    assert "another sequence" in str(failure.error) and family.folded == []


def test_database_that_changes_during_the_search_gives_nothing(engine, family, job) -> None:
    source = ChangingSource()
    (failure,) = failures(run(engine, [job], source))
    assert isinstance(failure.error, DataError) and "changed" in str(failure.error)
    again = FakeSource("one")
    run(engine, [job], again)
    assert again.queries == [SEQUENCE]


def test_damaged_database_stops_the_run_before_anything_is_loaded(engine, family, job) -> None:
    with pytest.raises(DataError, match="damaged"):
        run(engine, [job], BrokenSource())
    assert family.models == []


def test_damaged_stored_alignment_is_searched_anew(store, family, job, source) -> None:
    run(Engine(store, "cpu"), [job], source)
    for path in store.folder.rglob("alignment.a3m.gz"):
        path.write_bytes(path.read_bytes()[:-7])
    events = run(Engine(store, "cpu"), [job], source)
    assert any(isinstance(event, JobWarned) for event in events)
    assert len(source.queries) == 2 and result(events)


def test_that_a_stopped_search_would_begin_anew_is_said_before_it_is_made(
    store, family, job, source, monkeypatch
) -> None:
    def read_only(folder, *_given, **_named):
        if folder.name == "work":
            raise PermissionError(13, "Permission denied")
        return make(folder, *_given, **_named)

    make = Path.mkdir
    monkeypatch.setattr(Path, "mkdir", read_only)
    events = run(Engine(store, "cpu"), [job], source)
    (warning,) = [event for event in events if isinstance(event, JobWarned)]
    assert "begins anew" in warning.message and "Permission denied" in warning.message
    kinds = [(type(event).__name__, getattr(event, "stage", "")) for event in events]
    assert kinds.index(("JobWarned", "")) < kinds.index(("StageFinished", "alignment"))
    assert result(events)


def test_equal_chains_are_searched_once(engine, family, source, monkeypatch) -> None:
    monkeypatch.setattr(
        type(family),
        "capabilities",
        Capabilities(
            molecules=frozenset({"protein"}), max_chains=4, min_length=2, max_tokens=99,
            inputs=frozenset({"msa", "template"}), outputs=frozenset(), modifications=False,
            bonds=False, constraints=False,
        ),
    )  # fmt: skip
    job = Job.from_dict(
        {
            "version": 1,
            "name": "complex",
            "entities": [
                {"protein": {"id": ["A", "B"], "sequence": SEQUENCE}},
                {"protein": {"id": "C", "sequence": SEQUENCE[::-1]}},
                {"protein": {"id": "D", "sequence": SEQUENCE}},
            ],
        }
    )
    events = run(engine, [job], source)
    assert source.queries == [SEQUENCE, SEQUENCE[::-1]]
    evidence = family.evidence_of("complex").chains
    assert evidence["A"] is evidence["B"] is evidence["D"]
    assert evidence["C"].alignment.query == SEQUENCE[::-1]
    inputs = result(events).provenance.inputs
    assert inputs["A.alignment"] != inputs["C.alignment"]


def test_without_a_store_each_run_searches_and_leaves_nothing(family, job, source) -> None:
    for _ in range(2):
        run(Engine(None, "cpu"), [job], source)
    assert len(source.queries) == 2
    assert not any(work.exists() for work in source.works)


def test_work_is_gone_after_a_search_that_was_kept(engine, store, family, job, source) -> None:
    run(engine, [job], source)
    assert list((store.folder / "work").iterdir()) == []


def test_search_that_failed_goes_on_where_it_was(engine, store, family, job, source) -> None:
    class Fails(FakeSource):
        def _row(self, query, step):
            if step == 2:
                raise DataError("the disk went away")
            return super()._row(query, step)

    assert failures(run(engine, [job], Fails()))
    run(engine, [job], source)
    assert source.steps == [2, 3]


def test_family_that_takes_no_alignment_refuses_the_search(
    engine, family, job, source, monkeypatch
):
    capabilities = family.capabilities
    narrow = Capabilities(**{**vars(capabilities), "inputs": frozenset({"profile"})})
    monkeypatch.setattr(type(family), "capabilities", narrow)
    with pytest.raises(CapabilityError, match="mini takes no alignment") as caught:
        run(engine, [job], source)
    assert "it takes profile" in caught.value.problem and "--msa" in caught.value.hint
    with pytest.raises(CapabilityError, match="mini takes no template"):
        run(engine, [job], None, FakeTemplates())
    assert source.queries == [] and family.models == []


def test_job_with_a_profile_is_refused_where_an_alignment_is_searched(
    engine, family, job, source, tmp_path
) -> None:
    path = tmp_path / "p.tsv"
    path.write_text("x")
    with_profile = job.replace(entities=(job.entities[0].replace(profile=path),))
    (failure,) = failures(run(engine, [with_profile], source))
    assert failure.refused and "chain A: brings a profile" in str(failure.error)
    assert source.queries == []
