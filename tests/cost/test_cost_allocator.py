from __future__ import annotations

import os
import subprocess
import sys

import pytest

HOLES = """
import sys
{settle}
import torch

def held():
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024

def arrays():
    return [torch.ones(12 * 2**20, dtype=torch.uint8) for _ in range(20)]

# What is freed once raises the size up to which the allocator keeps arrays.
arrays()
there = arrays()
full = held()
del there[::2]
print((full - held()) / (10 * 12 * 2**20))
"""
SETTLE = "from itda.cost.allocator import settle_allocator; assert settle_allocator()"


def given_back(settle: str) -> float:
    """The share of arrays freed between others that goes back to the system."""
    code = HOLES.format(settle=settle)
    # An engine of this process has asked for huge pages, which changes what is kept.
    own = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=own)
    return float(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_arrays_that_are_freed_go_back_to_the_system() -> None:
    assert given_back(SETTLE) > 0.9
    # Which they would not by themselves.
    assert given_back("") < 0.5
