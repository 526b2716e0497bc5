from __future__ import annotations

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
SETTLE = "from itda.engine.cost.allocator import settle_allocator; assert settle_allocator()"


def given_back(settle: str) -> float:
    """The share of arrays freed between others that goes back to the system."""
    code = HOLES.format(settle=settle)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_arrays_that_are_freed_go_back_to_the_system() -> None:
    assert given_back(SETTLE) > 0.9
    # Which they would not by themselves.
    assert given_back("") < 0.5
