"""The Python interface: `itda.fold` gives what `itda fold` writes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from itda.cost.memory import parse_bytes
from itda.engine.attach import attach
from itda.engine.engine import Engine
from itda.engine.events import Event, JobFailed, JobFinished, JobWarned
from itda.engine.given_templates import give_templates
from itda.engine.inputs import read_input
from itda.engine.run_settings import settings_of
from itda.engine.search_options import split_msa
from itda.engine.trim import trim_job
from itda.errors import InputError, spoken_in
from itda.job.given_templates import parse_given_template
from itda.job.letters import Ambiguous, looks_like_path
from itda.job.model import Job
from itda.job.options import Effort, RunOptions
from itda.job.problems import shown
from itda.job.read import read_jobs
from itda.job.sequences import MoleculeOption
from itda.language import PYTHON, Message, chosen_language
from itda.models import registry
from itda.results.result import Result
from itda.store.paths import stage_folder
from itda.store.store import Store

if TYPE_CHECKING:
    from itda.models.family import Family

__all__ = ["fold"]


def fold(
    what: str | Path | Job,
    *,
    name: str | None = None,
    profile: str | Path | None = None,
    msa: str | Path | None = None,
    db: str | Sequence[str] = (),
    templates: str | None = None,
    template: str | Path | Sequence[str | Path] = (),
    max_template_date: str | date | None = None,
    max_template_identity: float | None = None,
    template_count: int | None = None,
    model: str | Family = "mini",
    weights: str | Path | None = None,
    trim: bool = False,
    samples: int | None = None,
    effort: Effort = "normal",
    seed: int | None = None,
    recycles: int | None = None,
    device: str = "auto",
    memory: int | str | None = None,
    deterministic: bool = False,
    molecule: MoleculeOption = "auto",
    ambiguous: Ambiguous = "refuse",
    threads: int | None = None,
    parameters: Mapping[str, Any] = MappingProxyType({}),
    out: str | Path | None = None,
    cache: bool = True,
) -> Result:
    """Fold one job: a protein, or several chains together where the model can.

    Args:
        what: A sequence (`HEAVY:LIGHT` for two chains), a FASTA record as text, the path of a file
            with one record as `itda fold` reads it, or a `Job`.
        name: Name of the result; the record's own, or `protein` for a sequence, unless told.
        profile: A file with a profile of the protein.
        msa: A file with an alignment of the protein (A3M, Stockholm, aligned FASTA), or how to
            search for one: `mmseqs`, `hmmer`, `hmmer:phmmer` or `server:URL`, which sends the
            sequence to that address.
        db: Sequence databases to search; the only one there is unless told.
        templates: A database of structures to take templates from, or "none"; unless told the
            library of known folds, which comes with Itda.
        template: Structures of one's own to fold after, such as "1ubq.cif" or "1ubq.cif:A"; of a
            complex each goes to the proteins whose sequence is alike, or to a chain that stands
            before it, "H=heavy.pdb". They stand before what is found.
        max_template_date: The latest day of release of a template; text as 2021-09-30.
        max_template_identity: The largest identity of a template to the protein, 0 to 1.
        template_count: Most templates; 4 unless told.
        model: A model family or its name.
        weights: A weights file of one's own, or the name of a set of `itda weights list`.
        trim: Cut chains to what the model folds, such as a Fab to its Fv (`flashabb`).
        samples: Structures from each seed; the job's, else one for each candidate set of templates.
        effort: "quick", "normal" or "thorough": fold after 1, up to 5 or up to 10 candidate sets of
            templates, and let confidence choose.
        seed: Seed of the random numbers; the job's, else 0.
        recycles: How often the trunk sees its own output; the family's choice unless told.
        device: `auto` for the fastest there is, else `cpu`, `cuda`, `cuda:1` or `mps`.
        memory: Take no more than so many bytes, or an amount such as "8G"; all there is unless
            told.
        deterministic: The same bits each time, at some cost in speed.
        molecule: What a sequence or the records of a FASTA file are; `auto` is protein, and refuses
            what looks like DNA or RNA.
        ambiguous: `x` to read letters such as B, Z and U as unknown.
        threads: Processor cores for searches; all of them unless told.
        parameters: Parameters of the family's own by name, such as {"steps": 50}; `itda models`
            lists them.
        out: A folder to write the files to as well; see `Result.save`.
        cache: Keep the work, and take what an earlier call kept.

    Returns:
        The predictions, best first, with `plddt`, `pae`, `ptm`, `atoms`, `provenance` of the best;
        `pae` and `ptm` are None where the model predicts none.

    Raises:
        ItdaError: The input, the weights or the folder is not what it should be; the message says
            what would work.

    Example:
        >>> result = fold("MKTAYIAKQR", name="peptide")  # doctest: +SKIP
        >>> result.plddt.shape  # doctest: +SKIP
        (10,)
    """
    with spoken_in(PYTHON, chosen_language()):
        family = registry.get_family(model) if isinstance(model, str) else model
        options = RunOptions.checked(
            family=family.name,
            weights=weights,
            seed=seed,
            samples=samples,
            effort=effort,
            recycles=recycles,
            msa=msa,
            profile=profile,
            databases=db,
            templates=templates,
            template=template,
            max_template_date=max_template_date,
            max_template_identity=max_template_identity,
            template_count=template_count,
            molecule=molecule,
            ambiguous=ambiguous,
            trim=trim,
            deterministic=deterministic,
            threads=threads,
            parameters=dict(parameters),
        )
        settings = settings_of(options, family)
        job = _job(what, options, family)
        if name is not None:
            job = job.replace(name=name)
        if trim:
            job, cuts = trim_job(job, family)
            for cut in cuts:
                warnings.warn(f"{job.name}: {cut}", stacklevel=2)
        given = give_templates(
            [job], [parse_given_template(str(t)) for t in options.template], family
        )
        for error in given.errors.values():
            raise error
        for note in given.notes.get(0, ()):
            warnings.warn(f"{job.name}: {note}", stacklevel=2)
        (job,) = given.jobs
        for field, path in (("msa", split_msa(msa)[1]), ("profile", profile)):
            if path is not None:
                (job,), errors = attach([job], field, Path(path))
                for error in errors.values():
                    raise error
        engine = Engine(
            Store(stage_folder()) if cache else None,
            device,
            memory=parse_bytes(memory) if isinstance(memory, str) else memory,
        )
        events = engine.run_plan(engine.plan([job], settings))
        result = _result_of(events)
        if out is not None:
            result.save(out)
        return result


def _result_of(events: Iterator[Event]) -> Result:
    for event in events:
        match event:
            case JobWarned():
                warnings.warn(f"{event.job}: {event.message}", stacklevel=3)
            case JobFailed():
                raise event.error
            case JobFinished():
                return event.result
    raise AssertionError("a run ends with a result or a failure")


def _job(what: str | Path | Job, options: RunOptions, family: Family) -> Job:
    if isinstance(what, Job):
        return what
    molecule, ambiguous = options.molecule, options.ambiguous
    if isinstance(what, str) and not looks_like_path(what) and not _is_file(what):
        if not what.lstrip().startswith(">"):
            return Job.from_sequence("protein", what, molecule=molecule, ambiguous=ambiguous)
        batch = read_jobs(io.StringIO(what), molecule=molecule, ambiguous=ambiguous)
    else:
        batch = read_input(
            what, msa=options.msa, family=family, molecule=molecule, ambiguous=ambiguous
        )
    for record in batch.rejected:
        raise record.error
    for warning in (*batch.warnings, *batch.notes):
        warnings.warn(str(warning), stacklevel=3)
    if len(batch.jobs) > 1:
        raise InputError(
            Message(
                "{what} holds {count} records, and `fold` takes one",
                what=shown(str(what)),
                count=len(batch.jobs),
            ),
            hint=Message(
                "fold each job of `itda.job.read.read_jobs(path).jobs`, or use `itda fold`"
            ),
        )
    return batch.jobs[0]


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:
        return False
