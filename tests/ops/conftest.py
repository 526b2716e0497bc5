"""Where there is no GPU, Triton's interpreter runs the kernels; it has to be told before import."""

import os
import sys

import torch

if not torch.cuda.is_available():
    if "triton" in sys.modules and os.environ.get("TRITON_INTERPRET") != "1":
        raise RuntimeError("triton was imported before tests/ops: run tests/ops on its own")
    os.environ["TRITON_INTERPRET"] = "1"

# Triton has packages for Linux only.
collect_ignore_glob = [] if sys.platform == "linux" else ["test_triton_*.py"]
