"""The command line as a whole: help, version, wrong use, errors, exit status."""

import os
import subprocess
import sys

import pytest
import typer

import itda
from itda.cli import main as main_module
from itda.cli.main import COMMANDS, LazyGroup, load_command, main, run
from itda.cli.output import seconds_shown, write_log
from itda.errors import InputError


@pytest.fixture
def command(monkeypatch):
    """Put a function in the place of `itda doctor`."""

    def put(function) -> None:
        monkeypatch.setattr(main_module, "load_command", lambda name: load_single(function))

    return put


def load_single(function):
    single = typer.Typer(add_completion=False)
    single.command("doctor")(function)
    return typer.main.get_command(single)


def test_help_lists_every_command(capsys) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f" {name} " in shown for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_without_heavy_imports(name) -> None:
    script = (
        "import sys\n"
        "from itda.cli.main import run\n"
        f"assert run([{name!r}, '--help']) == 0\n"
        "heavy = {'torch', 'biotite', 'lightning', 'matplotlib', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--help" in done.stdout


def test_no_command_shows_help(capsys) -> None:
    assert run([]) == 1
    captured = capsys.readouterr()
    assert "fold" in captured.out + captured.err


def test_version(capsys) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"itda {itda.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["foldd"], "there is no command 'foldd'; did you mean 'fold'?"),
        (["xyzzy"], "there is no command 'xyzzy'"),
        (["--nonsense"], "--nonsense"),
        (["fold"], "Missing argument"),
        (["fold", "x.fa", "--sed", "1"], "--seed"),
        (["fold", "x.fa", "--samples", "0"], "--samples"),
        (["fold", "x.fa", "--samples", "many"], "--samples"),
        (["fold", "x.fa", "--molecule", "sugar"], "--molecule"),
    ],
)
def test_wrong_use_is_said_and_is_1(capsys, arguments, said) -> None:
    assert run(arguments) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and said in captured.err
    assert "--help" in captured.err and captured.out == ""


def test_error_of_the_user_has_problem_and_hint(capsys, command) -> None:
    def doctor() -> None:
        raise InputError("x.fa: is [bold]empty[/bold]", hint="put a record in")

    command(doctor)
    assert run(["doctor"]) == 1
    assert capsys.readouterr().err == (
        "error: x.fa: is [bold]empty[/bold]\n  hint: put a record in\n"
    )


def test_unexpected_error_is_short_and_its_traceback_is_kept(
    capsys, command, monkeypatch, tmp_path
) -> None:
    def doctor() -> None:
        raise ZeroDivisionError("in the depths\nof it")

    monkeypatch.setenv("ITDA_CACHE", str(tmp_path))
    command(doctor)
    assert run(["doctor"]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("error: unexpected ZeroDivisionError: in the depths of it\n")
    (log,) = (tmp_path / "logs").iterdir()
    assert str(log) in shown and "Traceback" not in shown
    assert "Traceback" in log.read_text() and "in doctor" in log.read_text()


def test_log_goes_elsewhere_where_the_cache_cannot_be_written(monkeypatch, tmp_path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ITDA_CACHE", str(tmp_path / "file"))
    path = write_log("x")
    assert path is not None and path.read_text() == "x"
    path.unlink()


def test_ctrl_c_is_130(capsys, command) -> None:
    def doctor() -> None:
        raise KeyboardInterrupt

    command(doctor)
    assert run(["doctor"]) == 130


def test_exit_status_of_a_command_is_kept(command) -> None:
    def doctor() -> None:
        raise typer.Exit(2)

    command(doctor)
    assert run(["doctor"]) == 2
    with pytest.raises(SystemExit) as left:
        main(["doctor"])
    assert left.value.code == 2


def test_names_in_any_script_pass_through_a_plain_terminal() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from itda.cli.main import main; main()", "fold", "없는.fa"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"},
        check=False,
    )
    assert done.returncode == 1 and b"error: " in done.stderr and b"Traceback" not in done.stderr


def test_only_the_command_that_is_called_is_imported() -> None:
    script = (
        "import sys\n"
        "from itda.cli.main import run\n"
        "run(['doctor', '--help'])\n"
        "assert 'itda.cli.doctor' in sys.modules\n"
        "assert 'itda.cli.fold' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_commands_are_loaded_once() -> None:
    group = typer.main.get_command(main_module.app)
    assert isinstance(group, LazyGroup)
    context = typer.Context(group)
    assert group.get_command(context, "doctor") is group.get_command(context, "doctor")


def test_sub_command_knows_its_own_name() -> None:
    assert load_command("doctor").name == "doctor"


def test_help_reads_nothing_that_takes_long() -> None:
    code = "import sys; from itda.cli.main import run; run(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "itda.cli.main" in loaded
    slow = {
        "torch",
        "numpy",
        "biotite",
        "pydantic",
        "rdkit",
        "fastapi",
        "sqlalchemy",
        "httpx",
        "ray",
    }
    assert not loaded & slow
    assert not {name for name in loaded if name.startswith("itda.models")}


def test_seconds_are_shown_for_people() -> None:
    assert [seconds_shown(value) for value in (0.04, 59.94, 61, 3599.9, 7260)] == [
        "0.0 s",
        "59.9 s",
        "1 min 01 s",
        "1 h 00 min",
        "2 h 01 min",
    ]


def test_python_m_itda_is_the_same_program() -> None:
    def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", "itda", *arguments]
        return subprocess.run(program, capture_output=True, text=True)

    assert ask("--version").stdout.startswith("itda ")
    assert "Usage: itda fold " in ask("fold", "--help").stdout
    wrong = ask("fodl")
    assert (wrong.returncode, "see itda --help" in wrong.stderr) == (1, True)
