"""`itda`, held at one place until it is killed; all else is as it is.

`HELD_AT` names the place: `event KIND STAGE` (when that line was written), `put STAGE` (half of a
result is in the store), `output SUFFIX` (a file is written and has not its name yet) or
`conversion` (half of the weights are converted); empty for none. `HELD_LOG` names a file that gets
`held` when it is there, `put STAGE` for each result that the store took, and `converted` for each
conversion of weights. With `HELD_LABORATORY` the one family needs weights that are converted first.
"""

import contextlib
import json
import os
import sys
import time
from pathlib import Path

sys.path += [str(Path(__file__).parents[1] / "engine"), str(Path(__file__).parents[2])]

from itda import atomic
from itda.cli import main, progress
from itda.store import store

PLACE = os.environ.get("HELD_AT", "").split()
LOG = Path(os.environ["HELD_LOG"])


def log(line: str) -> None:
    with LOG.open("a") as file:
        file.write(f"{line}\n")


def hold_at(*place: str) -> None:
    if tuple(PLACE) == place:
        log("held")
        # A signal that comes just before one long sleep would be seen only after it.
        for _ in range(6000):
            time.sleep(0.1)


def hold_events() -> None:
    write = progress.write_json_line

    def written(value) -> None:
        write(value)
        stage = value.get("stage")
        hold_at("event", value["event"], *([stage] if stage else []))

    progress.write_json_line = written


def hold_puts() -> None:
    write, rename = store.write_entry, store._rename

    def written(folder, key, files, *, stage, **how) -> None:
        if stage in PLACE:
            name, content = next(iter(files.items()))
            (folder / name).write_bytes(content[: len(content) // 2])
        hold_at("put", stage)
        write(folder, key, files, stage=stage, **how)

    def renamed(source, target) -> None:
        rename(source, target)
        log(f"put {json.loads((target / 'entry.json').read_bytes())['stage']}")

    store.write_entry, store._rename = written, renamed


def hold_outputs() -> None:
    replacing = atomic.replacing

    @contextlib.contextmanager
    def replaced(path):
        with replacing(path) as waiting:
            yield waiting
            hold_at("output", path.suffix)

    atomic.replacing = replaced


def use_laboratory() -> None:
    """Put a family with small weights that are to be converted in place of all others."""
    from fake_family import FakeFamily, install
    from tests.hub.laboratory import DoublingConverter

    from itda.hub import convert, registry
    from itda.hub.registry import WeightSet

    class Converter(DoublingConverter):
        def convert(self, states, documents):
            converted = super().convert(states, documents)
            log("converted")
            return converted

    class Laboratory(FakeFamily):
        weight_set = "lab"
        converter = Converter()

    whole = convert._bytes

    def half(tensor):
        hold_at("conversion")
        return whole(tensor)

    convert._bytes = half
    lab = WeightSet.model_validate_json(Path(os.environ["HELD_LABORATORY"]).read_bytes())
    sets = {**registry.weight_sets(), "lab": lab}
    registry.weight_sets = lambda: sets
    install(Laboratory())


if __name__ == "__main__":
    hold_events()
    hold_puts()
    hold_outputs()
    if os.environ.get("HELD_LABORATORY"):
        use_laboratory()
    main.main()
