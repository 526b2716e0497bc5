"""A record that a run forgot: never to happen, and never to be passed over in silence."""

from __future__ import annotations

import traceback

from itda.engine.events import JobFailed
from itda.errors import LostJobError


def lost(name: str) -> JobFailed:
    """Return the failure of a job that a run has lost.

    Args:
        name: Of the job.
    """
    error = LostJobError(f"{name!r} was lost: the run ended, and it was neither done nor failed")
    stack = "".join(traceback.format_stack()[:-1])
    return JobFailed(job=name, error=error, traceback=f"{stack}{type(error).__name__}: {error}\n")
