"""One list of the options of a run, which every face takes and hands on."""

import datetime
import inspect
from dataclasses import fields
from pathlib import Path

import pytest

import itda
from itda.cli import asked
from itda.cli.main import run
from itda.cli.options import RunArguments, SentArguments
from itda.cluster.perform import Performer, options_of
from itda.cluster.work import Task
from itda.engine import run_settings
from itda.errors import InputError, WeightsError
from itda.job.options import RunOptions
from itda.remote.client import Client
from itda.wire import Options, PlanRequest, Submission

GIVEN = {
    "family": "flashabb",
    "seed": 7,
    "samples": 3,
    "effort": "thorough",
    "recycles": 2,
    "msa": "mmseqs",
    "profile": Path("profiles"),
    "databases": ("one", "two"),
    "templates": "pdb",
    "template": ("own.cif",),
    "max_template_date": datetime.date(2021, 9, 30),
    "max_template_identity": 0.5,
    "template_count": 2,
    "weights": "mini",
    "threads": 2,
    "molecule": "protein",
    "ambiguous": "x",
    "trim": True,
    "deterministic": True,
    "parameters": {"steps": "5"},
}
"""A value for every option, none of them the default."""

OF_THIS_MACHINE = {"profile", "weights", "threads"}
"""What is never sent: files and cores."""

OF_READING = {"family", "molecule", "ambiguous", "trim", "template"}
"""What a server has done with by the time that a job is queued."""

ALL = set(GIVEN)
SENT = {name: value for name, value in GIVEN.items() if name not in OF_THIS_MACHINE}
CALLED_OTHERWISE = {"family": "model", "databases": "db"}


class CaughtError(Exception):
    def __init__(self, options: object) -> None:
        super().__init__()
        self.options = options


def catch(options, *_more, **_named):
    raise CaughtError(options)


def arguments(given) -> list[str]:
    """The options of the command line for them."""
    found = []
    for name, value in given.items():
        option = "--" + CALLED_OTHERWISE.get(name, name).replace("_", "-")
        if isinstance(value, dict):
            found += [word for one in value.items() for word in ("--parameter", "=".join(one))]
        elif isinstance(value, tuple):
            found += [word for one in value for word in (option, one)]
        else:
            found += [option] if value is True else [option, str(value)]
    return found


def test_every_face_has_every_option() -> None:
    assert set(RunOptions.model_fields) == ALL
    assert {field.name for field in fields(RunArguments)} == ALL
    assert {field.name for field in fields(SentArguments)} == set(SENT)
    assert set(Options.model_fields) == set(SENT)
    assert set(SENT) < set(Submission.model_fields) and set(SENT) < set(PlanRequest.model_fields)
    taken = set(inspect.signature(itda.fold).parameters)
    assert {CALLED_OTHERWISE.get(name, name) for name in ALL} <= taken


def test_no_option_keeps_its_default_here() -> None:
    defaults = RunOptions()
    assert [name for name in ALL if GIVEN[name] == getattr(defaults, name)] == []


@pytest.mark.parametrize("command", ["fold", "plan"])
def test_command_line(command, tmp_path, monkeypatch) -> None:
    told = []
    monkeypatch.setattr(asked, "ask", lambda _sources, options, **_: told.append(options))
    monkeypatch.chdir(tmp_path)
    run([command, "x.fasta", *arguments(GIVEN)])
    assert told == [RunOptions(**GIVEN)]
    told.clear()
    run([command, "x.fasta"])
    assert told == [RunOptions()]


def test_python(monkeypatch) -> None:
    monkeypatch.setattr("itda.api.settings_of", catch)
    with pytest.raises(CaughtError) as caught:
        itda.fold("MKT", **{CALLED_OTHERWISE.get(name, name): one for name, one in GIVEN.items()})
    assert caught.value.options == RunOptions(**GIVEN)
    with pytest.raises(CaughtError) as caught:
        itda.fold("MKT")
    assert caught.value.options == RunOptions()


def test_what_is_sent(tmp_path, monkeypatch) -> None:
    told = []
    path = tmp_path / "x.fasta"
    path.write_text(">x\nMKTAYIAKQR\n")
    monkeypatch.setattr(Client, "submit", lambda *_, **options: told.append(options))
    monkeypatch.setenv("ITDA_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ITDA_TOKEN", "itda_x")
    run(["remote", "submit", str(path), *arguments(SENT)])
    (options,) = told
    sent = Options(**{name: options[name] for name in SENT})
    # A structure of one's own goes along as a file, and the jobs name it.
    kept = {name: value for name, value in SENT.items() if name != "template"}
    assert sent.run == RunOptions(**kept)


def test_what_a_worker_is_given(tmp_path, monkeypatch) -> None:
    task = Task(
        key="x",
        family=GIVEN["family"],
        document={},
        settings=Options(**SENT).settings(),
        output=tmp_path,
    )
    rest = {name: value for name, value in SENT.items() if name not in OF_READING - {"family"}}
    assert RunOptions.checked(**options_of(task)) == RunOptions(**rest)
    monkeypatch.setattr("itda.cluster.perform.settings_of", catch)
    performer = Performer()
    performer.threads = 2
    with pytest.raises(CaughtError) as caught:
        performer._settings(task)
    assert caught.value.options == RunOptions(**rest, threads=2)


def test_a_worker_refuses_weights_by_path_and_what_it_does_not_know(tmp_path) -> None:
    def task(**settings):
        return Task(key="x", family="mini", document={}, settings=settings, output=tmp_path)

    weights = tmp_path / "mine.safetensors"
    weights.touch()
    with pytest.raises(WeightsError):
        options_of(task(weights=str(weights)))
    with pytest.raises(InputError, match="later"):
        Performer()._settings(task(later=True))


@pytest.mark.parametrize(
    ("field", "value"),
    [("msa", "server:https://x"), ("msa", "x.a3m"), ("databases", ["../x"]), ("templates", "/x")],
)
def test_nothing_of_another_machine_can_be_sent(field, value) -> None:
    with pytest.raises(ValueError, match=field):
        Options(**{field: value})
    assert RunOptions(**{field: value})


def test_settings_are_made_of_them(tmp_path) -> None:
    weights = tmp_path / "mine.safetensors"
    weights.touch()
    made = run_settings.settings_of(
        RunOptions(seed=3, samples=2, recycles=1, deterministic=True, weights=Path(weights))
    )
    assert (made.family.name, made.seed, made.samples, made.recycles) == ("mini", 3, 2, 1)
    assert made.deterministic and made.weights == weights and not made.searches.key()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"samples": 0}, "samples: must be greater than or equal to 1, not 0"),
        ({"samples": "3"}, "samples: must be a whole number, not '3'"),
        ({"samples": 10_001}, "samples: must be less than or equal to 10000"),
        ({"seed": 2**32}, "seed: must be less than or equal to 4294967295"),
        ({"recycles": -1}, "recycles: must be greater than or equal to 0"),
        ({"max_template_identity": 1.5}, "max_template_identity: must be less than or equal to 1"),
        ({"template_count": 0}, "template_count: must be greater"),
        ({"threads": 0}, "threads: must be greater"),
        ({"molecule": "lipid"}, "molecule: must be 'auto', 'protein', 'dna' or 'rna'"),
        ({"max_template_date": "30.9.2021"}, "30.9.2021: is no date"),
        ({"sample": 2}, "sample"),
    ],
)
def test_a_wrong_value_is_refused_with_its_field(given, said) -> None:
    with pytest.raises(InputError) as caught:
        RunOptions.checked(**given)
    assert said in caught.value.problem
