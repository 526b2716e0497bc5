"""How much memory this process may take, and who says so."""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from itda.errors import InputError
from itda.language import Message

_UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
_BINARY = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_TOLD_NOTHING = 2**60
"""A group without a limit has one of about 2^63."""

SHARE_OF_UNKNOWN = 0.75
"""Of all memory, where the system does not say how much is free."""


@dataclass(frozen=True)
class Room:
    """Memory that a process may take in all, what it holds already included.

    Attributes:
        bytes: How much.
        source: Who sets the limit, as the start of a sentence that an amount ends.
        alone_bytes: How much where nothing else took any; None where that is the same.
    """

    bytes: int
    source: str
    alone_bytes: int | None = field(default=None, compare=False)

    @property
    def most_bytes(self) -> int:
        """How much it may become when all else has ended."""
        return self.bytes if self.alone_bytes is None else self.alone_bytes

    @property
    def shown(self) -> str:
        """The amount and its source for people."""
        return f"{self.source} {bytes_shown(self.bytes)}"


def room(
    device: str,
    *,
    limit_bytes: int | None = None,
    address_bytes: int = 0,
    root: Path = Path("/"),
) -> Room:
    """Find the tightest of all limits.

    Args:
        device: `cpu`, `cuda:0` or `mps`.
        limit_bytes: The user's own.
        address_bytes: Address space that is taken beside memory, which counts where it is limited.
        root: Where `proc` and `sys` are.
    """
    rooms = [Room(limit_bytes, "--memory allows")] if limit_bytes is not None else []
    if device.startswith("cuda"):
        rooms.append(_cuda(device))
    else:
        rooms += _of_process(root, address_bytes)
        if device == "mps":
            rooms.append(_mps())
    alone = min(one.most_bytes for one in rooms)
    return replace(min(rooms, key=lambda one: one.bytes), alone_bytes=alone)


def _cuda(device: str) -> Room:
    import torch

    free, total = torch.cuda.mem_get_info(device)
    return Room(free + torch.cuda.memory_reserved(device), f"{device} has free", total)


def _mps() -> Room:
    import torch

    return Room(int(torch.mps.recommended_max_memory()), "Metal recommends")


def _of_process(root: Path, address_bytes: int) -> Iterator[Room]:
    status = _table(root / "proc/self/status")
    held = status.get("VmRSS", 0)
    machine = _table(root / "proc/meminfo")
    if "MemAvailable" in machine:
        yield Room(machine["MemAvailable"] + held, "this machine has free", machine.get("MemTotal"))
    else:
        pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        yield Room(int(SHARE_OF_UNKNOWN * pages), "three quarters of this machine's memory are")
    for left, limit in _groups(root):
        yield Room(left + held, "the control group of this process has left", limit)
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        yield Room(max(0, soft - address_bytes), "the limit on address space (ulimit -v) leaves")
    soft, _ = resource.getrlimit(resource.RLIMIT_DATA)
    if soft != resource.RLIM_INFINITY:
        # Data are what a process holds but for what it reads from files.
        files = max(0, held - status.get("VmData", held))
        yield Room(soft + files, "the limit on data (ulimit -d) leaves")


def _table(path: Path) -> dict[str, int]:
    """Read lines such as `VmRSS:  12 kB` as bytes."""
    found = {}
    for line in _lines(path):
        match = re.match(r"(\w+):\s+(\d+) kB", line)
        if match:
            found[match[1]] = int(match[2]) * 1024
    return found


def _groups(root: Path) -> Iterator[tuple[int, int]]:
    """Give what each control group above this process has left and in all, of version 1 and 2."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers == "":
            base = root / "sys/fs/cgroup"
            files = ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            base = root / "sys/fs/cgroup/memory"
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        # Inside a container the path may be the host's; its own group is then at the top.
        folder = base / path.strip("/")
        while True:
            left = _left(folder, *files)
            if left is not None:
                yield left
            if folder == base or base not in folder.parents:
                break
            folder = folder.parent


def _left(folder: Path, most: str, now: str, reclaimed: str) -> tuple[int, int] | None:
    limit, used = (_number(folder / name) for name in (most, now))
    if limit is None or used is None or limit > _TOLD_NOTHING:
        return None
    # Files that were read and can be dropped count as used.
    for line in _lines(folder / "memory.stat"):
        name, _, value = line.partition(" ")
        if name == reclaimed and value.isdigit():
            used -= int(value)
    return max(0, limit - max(0, used)), limit


def _number(path: Path) -> int | None:
    text = next(iter(_lines(path)), "")
    return int(text) if text.isdigit() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def parse_bytes(text: str, *, option: str = "--memory") -> int:
    """Read an amount of memory.

    Args:
        text: Such as `8G` or `8GB` (8 x 10^9), `8GiB` (8 x 2^30), `512M`, or a number of bytes.
        option: What it was given to, for the message.

    Raises:
        InputError: It is no such amount.

    >>> parse_bytes("8G"), parse_bytes("1.5 GiB"), parse_bytes("300M")
    (8000000000, 1610612736, 300000000)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)(b?)\s*", text, re.IGNORECASE)
    unit = match[2].lower() if match else ""
    if match is None or float(match[1]) <= 0 or (match[3] and not unit):
        raise InputError(
            Message("{option} {text}: not an amount of memory", option=option, text=text),
            hint=Message("such as 8G or 512M"),
        )
    return int(float(match[1]) * (_BINARY[unit] if match[3] else _UNITS[unit]))


def bytes_shown(amount: float) -> str:
    """Write an amount of memory for people.

    >>> bytes_shown(8.04e9), bytes_shown(3.3e8), bytes_shown(2e4)
    ('8.0 GB', '330 MB', '0 MB')
    """
    return f"{amount / 1e9:.1f} GB" if amount >= 0.95e9 else f"{amount / 1e6:.0f} MB"
