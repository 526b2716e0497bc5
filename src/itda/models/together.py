"""How the jobs of a batch go through a network: side by side on a processor, padded on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import TypeVar

import torch

from itda.features import Features
from itda.machine import usable_cores
from itda.progress import Progress

Value = TypeVar("Value")

ONE_THREAD_TOKENS_MOST = 256
"""Up to this length a second thread gains little (docs/log.md)."""
PADDED_PAIRS_MOST = 16 * 256**2
"""Pairs of one padded batch, beyond which a GPU is busy without more."""
PADDING_MOST = 0.25
"""Largest part of a padded batch that may be padding."""


def together(
    features: Sequence[Features],
    run: Callable[[Sequence[int], Callable[[float], None]], Sequence[Value]],
    *,
    device: str,
    progress: Progress,
) -> list[Value]:
    """Run a network on all jobs and return what it gives for each, in order.

    A processor gains nothing by padding: there each job runs alone. A small one has one thread, and
    as many run at a time as this process may use cores, which is what keeps cores busy when
    matrices are small; a large one has all threads. This hangs on the job alone, so that sums are
    made in the same order whatever else is in the batch. Elsewhere jobs of like length are padded
    to one.

    Args:
        features: Of each job.
        run: Takes places in `features` and a function to report progress with.
        device: Such as `cpu` or `cuda:0`.
        progress: Told the part of the work that is done.
    """
    lengths = [one.tokens.mask.shape[1] for one in features]
    work = [float(length) ** 2 for length in lengths]
    counts = [one.templates.mask.shape[1] for one in features]
    parts = [[place] for place in range(len(features))]
    if device != "cpu":
        parts = padded_parts(lengths, counts)
    done = dict.fromkeys(range(len(parts)), 0.0)
    of_part = [sum(work[place] for place in part) for part in parts]

    def run_part(number: int) -> Sequence[Value]:
        def told(fraction: float) -> None:
            done[number] = fraction * of_part[number]
            progress(sum(done.values()) / sum(work), "network")

        values = run(parts[number], told)
        told(1.0)
        return values

    # The longest first, so that none is left running alone.
    order = sorted(range(len(parts)), key=lambda number: -of_part[number])
    aside = [number for number in order if _has_one_thread(lengths[parts[number][0]], device)]
    found = {number: run_part(number) for number in order if number not in set(aside)}
    if aside:
        with one_thread(), ThreadPoolExecutor(usable_cores()) as pool:
            found.update(zip(aside, pool.map(run_part, aside), strict=True))
    values: dict[int, Value] = {}
    for number, part in enumerate(parts):
        values.update(zip(part, found[number], strict=True))
    return [values[place] for place in range(len(features))]


def as_alone(stream: Iterator[Value], features: Features, device: str) -> Iterator[Value]:
    """Compute the values of a job one by one, each with the threads that `together` gives it."""
    single = _has_one_thread(features.tokens.mask.shape[1], device)
    while True:
        with one_thread() if single else nullcontext():
            try:
                value = next(stream)
            except StopIteration:
                return
        yield value


def _has_one_thread(tokens: int, device: str) -> bool:
    return device == "cpu" and tokens <= ONE_THREAD_TOKENS_MOST


def padded_parts(lengths: Sequence[int], templates: Sequence[int]) -> list[list[int]]:
    """Group jobs of like length and as many templates, so that little is padding.

    Args:
        lengths: Tokens of each job.
        templates: Templates of each job.

    Returns:
        Places of the jobs of each group.
    """
    parts: list[list[int]] = []
    order = sorted(range(len(lengths)), key=lambda place: (templates[place], -lengths[place]))
    for place in order:
        if parts:
            first = parts[-1][0]
            count = len(parts[-1]) + 1
            pairs = sum(lengths[other] ** 2 for other in parts[-1]) + lengths[place] ** 2
            padded = count * lengths[first] ** 2
            fits = padded <= PADDED_PAIRS_MOST and pairs >= (1 - PADDING_MOST) * padded
            if fits and templates[place] == templates[first]:
                parts[-1].append(place)
                continue
        parts.append([place])
    return parts


@contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch use one thread for each of several computations that run side by side."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
