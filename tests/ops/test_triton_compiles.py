"""The kernels compile to machine code for GPUs that are not here, and fit what those have."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from itda.ops.tiles import tile_of, width_of

SHARED_BYTES = 99 * 1024
"""What a block may take on the smallest GPUs since Ampere (8.6); those of 7.5 are not asked."""


@pytest.mark.slow
@pytest.mark.parametrize(("element", "architecture"), [("fp32", 80), ("bf16", 90)])
def test_kernels_compile_and_fit(tmp_path, element, architecture):
    program = Path(__file__).with_name("compile_kernels.py")
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(program), element, str(architecture)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    shared = json.loads(done.stdout)
    assert len(shared) == 7
    assert max(shared.values()) <= SHARED_BYTES, shared


@pytest.mark.parametrize("kernel", ["attention", "triangle_attention", "triangle_multiply"])
@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("channels", [1, 16, 24, 32, 48, 64, 128, 256])
def test_tiles_are_powers_of_two_that_matrix_units_take(kernel, size, channels):
    width = width_of(channels)
    assert width >= max(16, channels)
    tile = tile_of(kernel, width=width, size=size)
    for name in set(tile) - {"bytes", "most_channels", "stages", "warps"}:
        least = 1 if name == "channels" else 16
        assert tile[name] >= least, name
        assert tile[name] & (tile[name] - 1) == 0, name
