"""Whether two versions give the same: 30 jobs through every family, many options and all faces.

Each job goes through the command line, `itda.fold` or a server with `itda.Client`, and leaves one
digest of its numbers: atoms and their places, pLDDT, predicted errors, scores. Times, versions and
file layout do not count. Run it on one commit, then on another beside the first record:

    python benchmarks/same_results.py --output before.json
    python benchmarks/same_results.py --output after.json --against before.json

The exit status is 1 where a job failed or a digest differs. `esmfold` runs on small random weights,
`flashabb` on those of its package.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

EXAMPLES = Path(str(files("itda"))) / "data" / "examples"
UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"
RELATIVE = "MQIFVKTLTGKTITLEVESSDTIDNVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLADYNIQKESTLHLVLRLRGG"
HP36 = "LSDEDFKAVFGMTRSAFANLPLWKQQNLKKEKGLF"
PEPTIDE = "MKTAYIAKQRQISFVKSHFSRQ"
HEAVY = (
    "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAED"
    "TAVYYCSRWGGDGFYAMDYWGQGTLVTVSS"
)
LIGHT = (
    "DIQMTQSPSSLSASVGDRVTITCRASQDVNTAVAWYQQKPGKAPKLLIYSASFLYSGVPSRFSGSRSGTDFTLTISSLQPEDFATYYCQQ"
    "HYTTPPTFGQGTKVEIK"
)
SERVER_WAIT_SECONDS = 120.0


@dataclass(frozen=True)
class Job:
    """One job of the comparison.

    Attributes:
        name: In the record.
        face: Where it goes in.
        text: What is folded.
        suffix: Of the file that holds it.
        options: As the command line has them, without dashes and with `_`.
    """

    name: str
    face: str
    text: str
    suffix: str = ".fasta"
    options: tuple[tuple[str, Any], ...] = ()


def jobs(weights: Path, alignment: Path) -> list[Job]:
    """Return the jobs."""

    def job(name: str, face: str, text: str, suffix: str = ".fasta", **options: Any) -> Job:
        return Job(name, face, text, suffix, tuple(options.items()))

    one = f">ubiquitin\n{UBIQUITIN}\n"
    pair = f">antibody\n{HEAVY}:{LIGHT}\n"
    complex_ = f">pair\n{PEPTIDE}:{PEPTIDE[:9]}\n"
    small = {"model": "esmfold", "weights": str(weights)}
    many = "".join(
        f">part{start}\n{UBIQUITIN[start : start + 20 + start]}\n" for start in range(0, 30, 5)
    )
    seeds = {
        "version": 1,
        "name": "seeds",
        "seeds": [3, 4],
        "samples": 2,
        "entities": [{"protein": {"id": "Q", "sequence": HP36}}],
    }
    yaml = f"version: 1\nname: yaml\nentities:\n  - protein:\n      id: B\n      sequence: {HP36}\n"
    two = {
        "version": 1,
        "name": "two",
        "entities": [{"protein": {"id": ["A", "B"], "sequence": PEPTIDE}}],
    }
    return [
        job("mini", "command", one),
        job("mini, seed", "command", one, seed=7),
        job("mini, samples", "command", one, samples=3),
        job("mini, recycles", "command", one, recycles=2),
        job("mini, deterministic", "command", one, deterministic=True),
        job("mini, a batch", "command", many),
        job("mini, one at once", "command", many, at_once=1),
        job("mini, unknown residue", "command", f">x\n{HP36[:9]}X{HP36[10:]}\n"),
        job(
            "mini, letters read as X",
            "command",
            f">x\n{HP36[:9]}B{HP36[10:]}\n",
            ambiguous="x",
        ),
        job("mini, alignment", "command", one, msa=str(alignment)),
        job("mini, searched", "command", one, msa="mmseqs", db="sequences"),
        job("mini, searched with HMMER", "command", one, msa="hmmer", db="sequences"),
        job("mini, templates", "command", one, templates="structures"),
        job("mini, both", "command", one, msa="mmseqs", db="sequences", templates="structures"),
        job("mini, few templates", "command", one, templates="structures", template_count=1),
        job("mini, little memory", "command", one, memory="2G"),
        job("json, two seeds", "command", json.dumps(seeds), ".json"),
        job("yaml", "command", yaml, ".yaml"),
        job("esmfold", "command", one, **small),
        job("esmfold, complex", "command", complex_, **small),
        job("esmfold, copies", "command", json.dumps(two), ".json", **small),
        job("esmfold, recycles", "command", complex_, **small, recycles=1),
        job("flashabb", "command", pair, model="flashabb"),
        job("flashabb, turned", "command", f">turned\n{LIGHT}:{HEAVY}\n", model="flashabb"),
        job("python", "python", UBIQUITIN, samples=2),
        job("python, templates", "python", UBIQUITIN, templates="structures"),
        job("python, esmfold", "python", f"{PEPTIDE}:{PEPTIDE[:9]}", **small),
        job("python, flashabb", "python", f"{HEAVY}:{LIGHT}", model="flashabb"),
        job("rest", "rest", one, samples=2),
        job("rest, a batch", "rest", many, family="mini"),
    ]


def main() -> int:
    """Run all jobs and compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--against", type=Path, help="Record of another version.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="itda-same-") as name, _homes(Path(name)):
        found = _run_all(Path(name))
    arguments.output.write_text(json.dumps(found, indent=1) + "\n")
    failed = [name for name, digest in found.items() if digest.startswith("failed")]
    different: list[str] = []
    if arguments.against:
        before = json.loads(arguments.against.read_text())
        different = [name for name in before if before[name] != found.get(name)]
    print(f"{len(found)} jobs, {len(failed)} failed, {len(different)} differ")
    for name in [*failed, *different]:
        print(f"  {name}: {found.get(name)}")
    return 1 if failed or different else 0


@contextlib.contextmanager
def _homes(folder: Path) -> Iterator[None]:
    for variable in ("ITDA_HOME", "ITDA_CACHE"):
        os.environ[variable] = str(folder / variable.lower())
    os.environ["OMP_NUM_THREADS"] = "1"
    yield


def _run_all(folder: Path) -> dict[str, str]:
    weights, alignment = _prepare(folder)
    faces: dict[str, Callable[[Job, Path], str]] = {"command": _command, "python": _python}
    found: dict[str, str] = {}
    with _server(folder) as rest:
        faces["rest"] = rest
        for index, job in enumerate(jobs(weights, alignment)):
            place = folder / f"job{index}"
            place.mkdir()
            began = time.perf_counter()
            try:
                found[job.name] = faces[job.face](job, place)
            except Exception as error:
                found[job.name] = f"failed: {error}"
            seconds = time.perf_counter() - began
            print(f"{job.name}: {found[job.name][:70]} ({seconds:.1f} s)", flush=True)
    return found


def _prepare(folder: Path) -> tuple[Path, Path]:
    """Make small weights, an alignment, and databases of sequences and of structures."""
    from itda.hub.convert import write_converted
    from itda.models.esmfold.convert import CONFIG_FILE, CONVERTER, WEIGHTS_FILE
    from itda.parity import esmfold

    state, document = esmfold.published(esmfold.SMALL)
    weights = folder / "small.safetensors"
    converted = CONVERTER.convert({WEIGHTS_FILE: state}, {CONFIG_FILE: document})
    write_converted(weights, converted, family="esmfold", name="small", licence="MIT")
    alignment = folder / "alignment.a3m"
    alignment.write_text(f">ubiquitin\n{UBIQUITIN}\n>relative\n{RELATIVE}\n")
    sequences = folder / "sequences.fasta"
    sequences.write_text(
        f">a\n{UBIQUITIN}\n>b\n{RELATIVE}\n>c\n{HP36 * 3}\n>d\n{PEPTIDE * 4}\n>e\n{HEAVY}\n"
    )
    structures = folder / "structures"
    structures.mkdir()
    for path in EXAMPLES.glob("*.cif"):
        (structures / path.name).write_bytes(path.read_bytes())
    _itda("db", "add", "sequences", sequences)
    _itda("db", "add-structures", "structures", structures)
    return weights, alignment


def _itda(*arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "itda", *map(str, arguments)], capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip() or done.stdout.strip())
    return done.stdout


def _command(job: Job, place: Path) -> str:
    source, out = place / f"in{job.suffix}", place / "out"
    source.write_text(job.text)
    options: list[object] = []
    for name, value in job.options:
        options.append(f"--{name.replace('_', '-')}")
        options += [] if value is True else [value]
    _itda("fold", source, "--out", out, "--progress", "none", *options)
    return digest_of_folder(out)


def _python(job: Job, place: Path) -> str:
    import itda

    itda.fold(job.text, name="python", out=place / "out", **dict(job.options))
    return digest_of_folder(place / "out")


@contextlib.contextmanager
def _server(folder: Path) -> Iterator[Callable[[Job, Path], str]]:
    import itda

    home, log = folder / "server", folder / "server.log"
    command = [sys.executable, "-m", "itda", "serve", "--port", "0", "--no-browser"]
    with log.open("w") as told:
        process = subprocess.Popen(
            [*command, "--home", str(home)],
            stdout=told,
            stderr=told,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    try:
        url = _url(process, log)
        users = _itda("accounts", "--home", home, "list")
        owner = re.search(r"\S+@\S+", users)
        if owner is None:
            raise RuntimeError(f"the server has no owner: {users}")
        created = _itda("accounts", "--home", home, "token", "create", owner[0])
        token = re.search(r"itda_\S+", created)
        if token is None:
            raise RuntimeError(f"no token: {created}")
        with itda.Client(url, token[0]) as client:

            def rest(job: Job, place: Path) -> str:
                submitted = client.submit(job.text, **dict(job.options))
                for one in submitted.jobs:
                    client.wait(one)
                    client.download(one, place / "out")
                return digest_of_folder(place / "out")

            yield rest
    finally:
        process.terminate()
        process.wait(SERVER_WAIT_SECONDS)


def _url(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + SERVER_WAIT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"(http://[^/\s]+)/auth/link", log.read_text())
        if found:
            return found[1]
        time.sleep(0.1)
    raise RuntimeError(f"the server did not start: {log.read_text()}")


def digest_of_folder(folder: Path) -> str:
    """Return a digest of the numbers of all results in a folder."""
    whole = hashlib.sha256()
    structures = sorted(folder.rglob("*.cif"))
    if not structures:
        raise RuntimeError(f"no structure was written to {folder.name}")
    for path in structures:
        _add(whole, path.name, _structure(path))
    for path in sorted(folder.rglob("*.confidence.json")):
        _add(whole, path.name, _confidence(json.loads(path.read_bytes())))
    for path in sorted(folder.rglob("*.pae.npz")):
        with np.load(path) as arrays:
            _add(
                whole,
                path.name,
                [arrays[name].tolist() for name in ("pae", "pae_samples") if name in arrays],
            )
    return whole.hexdigest()


def _add(whole: Any, name: str, value: object) -> None:
    whole.update(name.encode())
    whole.update(json.dumps(value).encode())


def _structure(path: Path) -> list[Sequence[str]]:
    """Return atoms as a second parser reads them."""
    import gemmi

    block = gemmi.cif.read(str(path)).sole_block()
    columns = (
        "auth_asym_id", "auth_seq_id", "auth_comp_id", "auth_atom_id", "type_symbol",
        "Cartn_x", "Cartn_y", "Cartn_z", "B_iso_or_equiv",
    )  # fmt: skip
    return [list(row) for row in block.find("_atom_site.", list(columns))]


def _confidence(document: dict[str, Any]) -> list[object]:
    ranking = [
        [entry[name] for name in ("rank", "seed", "sample", "mean_plddt", "mean_pae_angstrom")]
        for entry in document["ranking"]
    ]
    return [document["plddt"], document["mean_plddt"], document["ptm"], ranking]


if __name__ == "__main__":
    sys.exit(main())
