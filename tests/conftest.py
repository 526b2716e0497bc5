"""What holds for all tests: nothing of the user's is read or written."""

import os
import signal
import sys
import tempfile
import threading

import pytest

from itda import machine

# Where there is no GPU, Triton's interpreter runs the kernels; it has to be told before import.
if sys.platform == "linux" and not os.path.exists("/dev/nvidiactl"):  # noqa: PTH110
    os.environ.setdefault("TRITON_INTERPRET", "1")
# Processes that test side by side share the cores.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell that runs tests in the background lets them ignore Ctrl-C, which some of them press.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _a_home_of_its_own():
    with tempfile.TemporaryDirectory(prefix="itda-tests-") as folder:
        own = {
            "ITDA_HOME": f"{folder}/home",
            "ITDA_CACHE": f"{folder}/cache",
            "ITDA_LANG": "en",
            # Tests of the library say so; others fold without templates.
            "ITDA_KNOWN_FOLDS": "none",
        }
        before = {name: os.environ.get(name) for name in own}
        os.environ.update(own)
        yield
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@pytest.fixture(autouse=True)
def _all_cores():
    """What one test tells the process of its cores does not reach the next."""
    yield
    machine.use_cores(None)
