"""How the files of the package lean on each other, and the way that a record takes through them.

    python scripts/import_graph.py                   # circles, upward imports, lines by folder
    python scripts/import_graph.py --trace           # folds the example twice as well
    python scripts/import_graph.py --tree PATH ...   # of another working tree; to trace it, with
                                                     # its src first in PYTHONPATH

Imports within functions and those for types alone count: a circle is one whenever it is closed.
Ends with status 1 where there is a circle or an upward import.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any

PACKAGE = "itda"
ALWAYS, IN_FUNCTION, FOR_TYPES = "always", "in a function", "for types"

Import = tuple[str, str]
"""The file that imports, and the file that is imported, as modules."""


def read_modules(package: Path) -> dict[str, Path]:
    """Return the files of a package by module."""
    modules = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


def read_imports(modules: Mapping[str, Path]) -> dict[Import, set[str]]:
    """Return each import of a file by another, and when it happens."""
    imports: dict[Import, set[str]] = defaultdict(set)
    for importer, path in modules.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for imported, when in _imports_below(tree, ALWAYS, modules):
            if imported != importer:
                imports[importer, imported].add(when)
    return dict(imports)


def _imports_below(
    node: ast.AST, when: str, modules: Mapping[str, Path]
) -> Iterator[tuple[str, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((name.name, when) for name in child.names if name.name in modules)
        elif isinstance(child, ast.ImportFrom):
            assert not child.level, "imports name the whole package"
            for name in child.names:
                whole = f"{child.module}.{name.name}"
                target = whole if whole in modules else str(child.module)
                if target in modules:
                    yield target, when
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from _imports_below(ast.Module(child.body, []), FOR_TYPES, modules)
            yield from _imports_below(ast.Module(child.orelse, []), when, modules)
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and when == ALWAYS:
            yield from _imports_below(child, IN_FUNCTION, modules)
        else:
            yield from _imports_below(child, when, modules)


def find_circles(imports: Iterable[Import]) -> list[list[str]]:
    """Return the strongly connected components of more than one module (Tarjan 1972)."""
    targets: dict[str, list[str]] = defaultdict(list)
    for importer, imported in imports:
        targets[importer].append(imported)
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    circles = []

    def visit(module: str) -> None:
        order[module] = lowest[module] = len(order)
        stack.append(module)
        for target in targets.get(module, ()):
            if target not in order:
                visit(target)
                lowest[module] = min(lowest[module], lowest[target])
            elif target in stack:
                lowest[module] = min(lowest[module], order[target])
        if lowest[module] == order[module]:
            place = stack.index(module)
            circle = sorted(stack[place:])
            del stack[place:]
            if len(circle) > 1:
                circles.append(circle)

    for module in list(targets):
        if module not in order:
            visit(module)
    return sorted(circles)


def find_folder_circles(imports: Iterable[Import]) -> list[list[str]]:
    """Return the circles of what stands side by side in one folder: files, and folders as one."""
    by_folder: dict[str, set[Import]] = defaultdict(set)
    for importer, imported in imports:
        left, right = importer.split("."), imported.split(".")
        shared = 0
        while shared < min(len(left), len(right)) and left[shared] == right[shared]:
            shared += 1
        if 0 < shared < min(len(left), len(right)):
            pair = ".".join(left[: shared + 1]), ".".join(right[: shared + 1])
            by_folder[".".join(left[:shared])].add(pair)
    return [circle for pairs in by_folder.values() for circle in find_circles(sorted(pairs))]


class Rooms:
    """The order of rooms, as import-linter's contract has it.

    Args:
        layers: From the highest; rooms side by side are parted by `|`.
    """

    def __init__(self, layers: Iterable[str]) -> None:
        self._heights = {
            room.strip(): -depth for depth, layer in enumerate(layers) for room in layer.split("|")
        }

    def height(self, module: str) -> int | None:
        """Return a module's height, the higher the larger; None where it stands in no room."""
        return self._heights.get(".".join(module.split(".")[:2]))

    def is_upward(self, importer: str, imported: str) -> bool:
        """Whether what is imported or called stands in a higher room, or one at the same height."""
        low, high = self.height(importer), self.height(imported)
        if low is None or high is None:
            return False
        return high > low or (high == low and importer.split(".")[:2] != imported.split(".")[:2])


def count_lines(modules: Mapping[str, Path]) -> Counter[str]:
    """Return the lines of the package by folder; those of single files stand under its name."""
    lines: Counter[str] = Counter()
    for path in modules.values():
        package = next(folder for folder in path.parents if folder.name == PACKAGE)
        parts = path.relative_to(package).parts
        folder = parts[0] if len(parts) > 1 else PACKAGE
        lines[folder] += len(path.read_text(encoding="utf-8").splitlines())
    return lines


class Way:
    """Which file called which, while it is watched, in all threads.

    Args:
        modules: The package's.
    """

    def __init__(self, modules: Mapping[str, Path]) -> None:
        self._modules = {str(path.resolve()): module for module, path in modules.items()}
        self.calls: Counter[Import] = Counter()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch what is called; modules that are imported for the first time do not count."""
        threading.setprofile(self._note)
        sys.setprofile(self._note)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def _note(self, frame: FrameType, event: str, _argument: object) -> None:
        if event != "call":
            return
        called = self._modules.get(frame.f_code.co_filename)
        if called is None or frame.f_code.co_name == "<module>":
            return
        caller = frame.f_back
        while caller is not None:
            module = self._modules.get(caller.f_code.co_filename)
            if module is not None:
                if caller.f_code.co_name != "<module>" and module != called:
                    self.calls[module, called] += 1
                return
            caller = caller.f_back


def fold_example(folder: Path, package: Path) -> None:
    """Fold the example as `itda fold` does."""
    main = importlib.import_module("itda.cli.main").main
    example = str(package / "data" / "examples" / "ubiquitin.fasta")
    sys.argv = ["itda", "fold", example, "--out", str(folder / "out"), "--device", "cpu"]
    try:
        main()
    except SystemExit as stop:
        assert not stop.code, stop.code


def perform_example(folder: Path, package: Path) -> None:
    """Fold the example as a server's worker does."""
    work = importlib.import_module("itda.cluster.work")
    performer = importlib.import_module("itda.cluster.perform").Performer(device="cpu")
    read = importlib.import_module("itda.job.read")
    outcomes: dict[str, Any] = {}
    jobs = read.read_jobs(package / "data" / "examples" / "ubiquitin.fasta").jobs
    tasks = tuple(
        work.Task(key=str(number), family="mini", document=job.to_dict(), output=folder / "out")
        for number, job in enumerate(jobs)
    )
    # It did not always stand in the engine.
    places = [place for place in ("itda.engine.stop", "itda.cluster.stop") if find_spec(place)]
    stop = importlib.import_module(places[0]).Stop()
    performer.perform(
        work.Work(tasks=tasks, stages=folder / "stages"),
        lambda _key, _events: None,
        outcomes.__setitem__,
        stop,
    )
    assert all(isinstance(outcome, work.Done) for outcome in outcomes.values()), outcomes


TRACES: Mapping[str, Callable[[Path, Path], None]] = {
    "fold": fold_example,
    "perform": perform_example,
}


def trace(name: str, modules: Mapping[str, Path], package: Path) -> Counter[Import]:
    """Fold the example in this process, and return which file called which."""
    way = Way(modules)
    with tempfile.TemporaryDirectory() as folder:
        # What an earlier run left must not be found again.
        for variable in ("ITDA_CACHE", "ITDA_DATA"):
            os.environ.pop(variable, None)
        os.environ.update({"XDG_CACHE_HOME": folder, "XDG_DATA_HOME": folder})
        with way.watched():
            TRACES[name](Path(folder), package)
    return way.calls


def main() -> int:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tree", type=Path, default=Path(__file__).resolve().parents[1])
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--trace-one", choices=TRACES, help=argparse.SUPPRESS)
    parser.add_argument("--verbose", action="store_true", help="name what is counted")
    options = parser.parse_args()
    package = options.tree.resolve() / "src" / PACKAGE
    project = tomllib.loads((options.tree / "pyproject.toml").read_text(encoding="utf-8"))
    rooms = Rooms(project["tool"]["importlinter"]["contracts"][0]["layers"])
    modules = read_modules(package)
    if options.trace_one:
        calls = trace(options.trace_one, modules, package)
        print("\n" + json.dumps([[*pair, count] for pair, count in sorted(calls.items())]))
        return 0

    imports = read_imports(modules)
    circles, folder_circles = find_circles(imports), find_folder_circles(imports)
    upward = [pair for pair in imports if rooms.is_upward(*pair)]
    print(f"{len(modules)} files, {len(imports)} imports of one by another")
    _show("circles of files", circles)
    _show("circles of files and folders that stand side by side", folder_circles)
    _show("upward imports", upward)
    lines = count_lines(modules)
    print(f"lines: {lines.total()}")
    for folder, count in sorted(lines.items()):
        print(f"    {folder} {count}")
    for name in TRACES if options.trace else ():
        command = [sys.executable, __file__, "--tree", str(options.tree), "--trace-one", name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        calls = {(a, b): count for a, b, count in json.loads(done.stdout.splitlines()[-1])}
        climbs = {pair: count for pair, count in calls.items() if rooms.is_upward(*pair)}
        entered = {called for _, called in calls}
        print(
            f"way of a record, {name}: {len(entered)} files, {len(calls)} pairs of files of which "
            f"one calls the other, {len(climbs)} of them upward ({sum(climbs.values())} calls)"
        )
        if options.verbose:
            for (caller, called), count in climbs.items():
                print(f"    {caller} -> {called} {count}")
    return 1 if circles or folder_circles or upward else 0


def _show(title: str, found: Iterable[Iterable[str]]) -> None:
    found = list(found)
    print(f"{title}: {len(found)}")
    for names in found:
        print(f"    {', '.join(names)}")


if __name__ == "__main__":
    sys.exit(main())
