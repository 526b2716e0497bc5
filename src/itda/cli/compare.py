"""`itda compare`: how like a reference structure models are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from itda.cli.compare_text import print_comparison, print_overview
from itda.cli.options import Overwrite
from itda.cli.output import exit_status, print_error, print_unexpected
from itda.errors import InputError, ItdaError, OutputError
from itda.language import Message

if TYPE_CHECKING:
    from itda.structure.compare import Comparison
    from itda.structure.reading import StructureFile

_GLOB_LETTERS = frozenset("*?[")


def compare(
    reference: Annotated[Path, typer.Argument(help="The structure taken as true.")],
    models: Annotated[
        list[Path],
        typer.Argument(metavar="MODEL...", help="Structures to score: files, or folders of files."),
    ],
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print everything, each residue too, as JSON; of several, a list."
        ),
    ] = False,
    residues: Annotated[
        bool, typer.Option("--residues", help="Print the scores of each residue.")
    ] = False,
    chain: Annotated[
        list[str] | None,
        typer.Option(
            "--chain",
            metavar="REFERENCE:MODEL",
            help="Pair these chains instead of finding pairs by sequence; may be given again. A "
            "chain without a name is written as nothing, as in A: or :A.",
        ),
    ] = None,
    by_number: Annotated[
        bool,
        typer.Option("--by-number", help="Match residues by number instead of aligning sequences."),
    ] = False,
    superposed: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the model, moved onto the reference, as .cif, .bcif or .pdb; of several, "
            "into a folder of this name.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    reference_model: Annotated[
        int, typer.Option(min=1, help="Which model of the reference file.")
    ] = 1,
    model_model: Annotated[int, typer.Option(min=1, help="Which model of the file to score.")] = 1,
) -> int:
    """Compare structures with a reference: lDDT, TM-score, GDT-TS and RMSD.

    Files may be mmCIF, BinaryCIF or PDB, gzipped or not. Proteins are compared; other molecules and
    unmatched residues are named.
    """
    from itda.structure.compare import compare as compare_structures
    from itda.structure.files import open_structure

    chains = _chain_pairs(chain) if chain else None
    paths = _files_of(models)
    alone = len(paths) == 1 and paths == models
    targets = dict.fromkeys(paths)
    if superposed is not None:
        inputs = [reference, *paths]
        targets = _targets(superposed, paths, inputs, alone=alone, overwrite=overwrite)
    true = open_structure(reference, model=reference_model, hydrogens=False)

    def compared(path: Path) -> tuple[Comparison, list[str]]:
        target = targets[path]
        model = open_structure(path, model=model_model, hydrogens=target is not None)
        found = compare_structures(true.atoms, model.atoms, chains=chains, by_number=by_number)
        notes = [f"{one.path.name}: {note}" for one in (true, model) for note in one.notes]
        if target is not None:
            _write_superposed(target, model, found)
            notes.append(
                Message(
                    "{path}: moved onto the reference in {target}",
                    path=model.path.name,
                    target=target,
                )
            )
        return found, notes

    if alone:
        found, notes = compared(paths[0])
        if as_json:
            typer.echo(json.dumps(_plain(reference, paths[0], found, notes), indent=2))
        else:
            print_comparison(found, notes, residues=residues)
        return 0
    done: list[tuple[Path, Comparison, list[str]]] = []
    listed: list[dict[str, Any]] = []
    for path in paths:
        try:
            found, notes = compared(path)
        except ItdaError as error:
            print_error(error, name=str(path))
            listed.append(_failed(reference, path, error.problem, error.hint))
        except Exception as error:
            print_unexpected(error)
            listed.append(_failed(reference, path, f"unexpected {type(error).__name__}", ""))
        else:
            done.append((path, found, notes))
            listed.append(_plain(reference, path, found, notes))
    if as_json:
        typer.echo(json.dumps(listed, indent=2))
    elif done:
        print_overview(done, residues=residues)
    return exit_status(len(done), len(paths))


def _files_of(models: list[Path]) -> list[Path]:
    """Give the files that are meant: those in folders too, and those of a pattern, each once."""
    from itda.structure.chains.structures import structure_files

    found: list[Path] = []
    for path in models:
        if path.is_dir():
            found += structure_files(path)
        elif not path.exists() and _GLOB_LETTERS & set(path.name):
            matching = sorted(one for one in path.parent.glob(path.name) if one.is_file())
            if not matching:
                raise InputError(Message("{path}: no file has such a name", path=path))
            found += matching
        else:
            found.append(path)
    return list(dict.fromkeys(found))


def _targets(
    superposed: Path, paths: list[Path], inputs: list[Path], *, alone: bool, overwrite: bool
) -> dict[Path, Path | None]:
    """Tell where each model is written to, before anything is compared."""
    from itda.structure.formats import format_of_name

    if alone:
        targets = [superposed]
    else:
        targets = [superposed / path.name for path in paths]
        if len(set(targets)) < len(targets):
            raise OutputError(
                Message(
                    "{superposed}: models from several folders have the same file name",
                    superposed=superposed,
                ),
                hint=Message(
                    "compare them folder by folder, each with a {--superposed} of its own"
                ),
            )
        if superposed.exists() and not superposed.is_dir():
            raise OutputError(
                Message(
                    "{superposed}: is a file, and several models go into a folder",
                    superposed=superposed,
                ),
                hint=Message("name a folder, such as {--superposed} superposed"),
            )
    kept = {path.resolve() for path in inputs}
    for target in targets:
        format_of_name(target)
        if target.resolve() in kept:
            raise OutputError(
                Message("{target}: is one of the structures to compare", target=target),
                hint=Message("give another name"),
            )
        if target.exists() and not overwrite:
            raise OutputError(
                Message("{target}: is there already", target=target),
                hint=Message("give another name, or {--overwrite}"),
            )
    return dict(zip(paths, targets, strict=True))


def _write_superposed(target: Path, model: StructureFile, found: Comparison) -> None:
    from itda.structure.files import write_structure

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            Message(
                "{parent}: cannot be made: {strerror}",
                parent=target.parent,
                strerror=error.strerror or error,
            )
        ) from error
    write_structure(target, found.motion.move(model.atoms))


def _plain(
    reference: Path, model: Path, comparison: Comparison, notes: list[str]
) -> dict[str, Any]:
    found = comparison.to_dict()
    found["notes"] = [*notes, *found["notes"]]
    return {"reference": str(reference), "model": str(model), **found}


def _failed(reference: Path, model: Path, problem: str, hint: str) -> dict[str, Any]:
    said = {"reference": str(reference), "model": str(model), "error": problem}
    return {**said, "hint": hint} if hint else said


def _chain_pairs(pairs: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        first, _, second = pair.partition(":")
        if pair.count(":") != 1:
            raise InputError(
                Message("{--chain} {pair!r} is not a pair of chains", pair=pair),
                hint=Message(
                    "write it as {--chain} A:B; a chain without a name is written as "
                    "nothing, as in {--chain} A:"
                ),
            )
        if first in found:
            raise InputError(
                Message("{--chain} pairs chain {first!r} of the reference twice", first=first),
                hint=Message("pair each chain once"),
            )
        found[first] = second
    return found
