"""What every result says beside its numbers: machine, versions, commit, time."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[3]
"""The repository, where this is run from one."""


def provenance() -> dict[str, Any]:
    """Say when, with which code and on which machine; taken before measuring."""
    return {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "HEAD") or None,
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "machine": machine(),
    }


def write_record(
    output: Path,
    benchmark: str,
    values: dict[str, Any],
    *,
    began: dict[str, Any] | None = None,
) -> None:
    """Write a result with the machine and the commit that it was measured on.

    Args:
        output: File; folders are made.
        benchmark: Name.
        values: What was measured.
        began: What `provenance` said when measuring began; as it is now unless given.
    """
    record = {"benchmark": benchmark, **(began or provenance()), **values}
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """Describe the machine and the versions of what runs on it."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": processor_name(),
        "bfloat16_instructions": bfloat16_instructions(),
        "cores": os.cpu_count(),
        "memory_gigabytes": round(memory_bytes / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": _version("torch"),
        "itda": _version("itda"),
    }


def processor_name() -> str:
    """Name the processor as the system does."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def bfloat16_instructions() -> list[str]:
    """Name the instructions of the processor that multiply in bfloat16."""
    flags = _cpuinfo("flags").split()
    return [name for name in ("avx512_bf16", "amx_bf16") if name in flags]


def _cpuinfo(name: str) -> str:
    path = Path("/proc/cpuinfo")
    for line in path.read_text().splitlines() if path.exists() else ():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return ""


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git(*arguments: str) -> str:
    if not (SOURCE / ".git").exists():
        return ""
    done = subprocess.run(
        ["git", *arguments], cwd=SOURCE, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else ""
