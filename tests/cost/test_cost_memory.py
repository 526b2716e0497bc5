from __future__ import annotations

import resource

import pytest

from itda.cost import memory
from itda.cost.memory import Room, bytes_shown, parse_bytes, room
from itda.errors import InputError

GB = 10**9


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of 16 GB free whose process holds 1 GB, without limits."""
    limits = {}
    monkeypatch.setattr(
        memory.resource,
        "getrlimit",
        lambda kind: limits.get(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)),
    )
    write(tmp_path, "proc/meminfo", f"MemTotal: 99 kB\nMemAvailable:   {15 * GB // 1024} kB\n")
    write(tmp_path, "proc/self/status", f"VmRSS:\t{GB // 1024} kB\nVmData:\t{GB // 2048} kB\n")
    return tmp_path, limits


def write(root, path, text):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def nearly(found: Room, expected: float) -> bool:
    return abs(found.bytes - expected) < 1e6


def test_what_the_process_holds_is_part_of_the_room(machine):
    found = room("cpu", root=machine[0])
    assert nearly(found, 16 * GB)
    assert found.shown == "this machine has free 16.0 GB"


def test_what_there_is_where_nothing_else_runs_is_the_tightest_whole(machine):
    root, _ = machine
    write(root, "proc/meminfo", f"MemTotal: {64 * GB // 1024} kB\nMemAvailable: {GB // 1024} kB\n")
    assert abs(room("cpu", root=root).most_bytes - 64 * GB) < 1e6
    assert room("cpu", root=root, limit_bytes=3 * GB).most_bytes == 3 * GB
    assert room("cpu", root=root, limit_bytes=3 * GB).source == "this machine has free"


def test_the_users_own_limit_goes_before_a_larger_room(machine):
    assert room("cpu", limit_bytes=GB, root=machine[0]) == Room(GB, "--memory allows")
    assert nearly(room("cpu", limit_bytes=99 * GB, root=machine[0]), 16 * GB)


@pytest.mark.parametrize(
    ("line", "folder", "most", "now", "reclaimed"),
    [
        ("0::/user/job\n", "sys/fs/cgroup/user", "memory.max", "memory.current", "inactive_file"),
        (
            "4:memory:/user/job\n3:cpuset:/user\n",
            "sys/fs/cgroup/memory/user",
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
            "total_inactive_file",
        ),
    ],
)
def test_a_control_group_above_the_process_limits_it(machine, line, folder, most, now, reclaimed):
    root, _ = machine
    write(root, "proc/self/cgroup", line)
    write(root, f"{folder}/{most}", f"{6 * GB}\n")
    write(root, f"{folder}/{now}", f"{3 * GB}\n")
    write(root, f"{folder}/memory.stat", f"cache 7\n{reclaimed} {GB}\n")
    # 6 less the 2 that cannot be dropped, and the 1 that is the process's own.
    found = room("cpu", root=root)
    assert nearly(found, 5 * GB)
    assert "control group" in found.shown


@pytest.mark.parametrize("said", ["max\n", f"{2**63 - 4096}\n"])
def test_a_control_group_without_a_limit_is_none(machine, said):
    root, _ = machine
    write(root, "proc/self/cgroup", "0::/\n")
    write(root, "sys/fs/cgroup/memory.max", said)
    write(root, "sys/fs/cgroup/memory.current", f"{3 * GB}\n")
    assert nearly(room("cpu", root=root), 16 * GB)


def test_limits_of_the_shell_count(machine):
    root, limits = machine
    limits[resource.RLIMIT_AS] = (4 * GB, 4 * GB)
    found = room("cpu", root=root, address_bytes=GB)
    assert found == Room(3 * GB, "the limit on address space (ulimit -v) leaves")
    limits[resource.RLIMIT_DATA] = (2 * GB, 2 * GB)
    assert nearly(room("cpu", root=root, address_bytes=GB), 2.5 * GB)


def test_a_system_that_says_nothing_has_a_share_of_its_memory(tmp_path):
    assert room("cpu", root=tmp_path).source == "three quarters of this machine's memory are"


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("8G", 8e9),
        ("8gb", 8e9),
        ("8 GiB", 8 * 2**30),
        ("1.5M", 1.5e6),
        ("70000", 7e4),
        ("2T", 2e12),
    ],
)
def test_amounts_are_read(text, amount):
    assert parse_bytes(text) == amount


@pytest.mark.parametrize("text", ["", "G", "8X", "-1G", "0", "8 i", "1e9"])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(InputError, match="--memory"):
        parse_bytes(text)


def test_amounts_are_shown_in_the_units_that_are_read():
    assert parse_bytes(bytes_shown(7.3e9)) == 7.3e9
    assert parse_bytes(bytes_shown(4.12e8)) == 4.12e8
