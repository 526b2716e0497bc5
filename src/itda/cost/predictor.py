"""Asked before every fold: what it costs, whether it fits, and the largest that would."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from itda.cost import calibration
from itda.cost.allocator import settle_allocator
from itda.cost.devices import describe
from itda.cost.loads import on_device
from itda.cost.memory import Room, bytes_shown, room
from itda.errors import CapabilityError, OutputError
from itda.hub.weights import read_card
from itda.language import Message, joined
from itda.models.demand import Load

if TYPE_CHECKING:
    from itda.models.demand import Demand
    from itda.models.family import Family

Verdict = Literal["runs", "runs frugally", "runs in smaller batches"]

ROOM_SECONDS = 1.0
"""How long an answer of the system about free memory is believed."""

LEARNED_AT_MOST = 2.0
"""More than that is no fault of the constants, such as another program that took the memory."""


@dataclass(frozen=True)
class Cost:
    """What a load will take.

    Attributes:
        bytes: Peak memory of the process on a CPU; of the device elsewhere.
        seconds: Of the fold, weights being loaded.
    """

    bytes: int
    seconds: float


@dataclass(frozen=True)
class Admission:
    """A load that fits, perhaps changed so that it does.

    Attributes:
        load: What to fold: it may be frugal, or hold only the first of the jobs.
        cost: Its own.
        verdict: What was changed.
    """

    load: Load
    cost: Cost
    verdict: Verdict


class Predictor:
    """Predicts peak memory and seconds of one family on one device.

    Args:
        family: The model family.
        device: Such as `cpu` or `cuda:0`; not `auto`.
        limit_bytes: The user's own limit; the device and the system set others.
        weights: A weights file of the user's own, whose card has the sizes of the network.
        clock: Seconds that pass.

    Raises:
        WeightsError: The card of the weights is missing or broken.
    """

    def __init__(
        self,
        family: Family,
        device: str,
        *,
        limit_bytes: int | None = None,
        weights: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # What is predicted is right for a process that gives freed arrays back.
        settle_allocator()
        self.family = family
        self.device = device
        self.limit_bytes = limit_bytes
        self.described = describe(device)
        self.sizes: Mapping[str, Any] | None = read_card(weights).config if weights else None
        self.calibration = calibration.find(family.name, self.described, self.sizes)
        self._learned = self.calibration.learned
        self._failed_bytes: float = math.inf
        self._clock = clock
        self._room: tuple[float, Room] | None = None

    @property
    def start_seconds(self) -> float:
        """Seconds until weights are loaded."""
        return self.calibration.constants.start_seconds

    @property
    def room(self) -> Room:
        """Memory that this process may take in all, and who limits it."""
        now = self._clock()
        if self._room is None or now - self._room[0] > ROOM_SECONDS:
            address = int(self.calibration.constants.address_bytes)
            found = room(self.device, limit_bytes=self.limit_bytes, address_bytes=address)
            self._room = now, found
        return self._room[1]

    def cost(self, load: Load) -> Cost:
        """Predict what a load takes."""
        demand = self._demand(load)
        constants = self.calibration.constants
        needed = constants.bytes_of(demand) * self._learned
        return Cost(math.ceil(needed), constants.seconds_of(demand))

    def fits(self, load: Load) -> bool:
        """Whether a load fits into the memory that there is."""
        needed = self.cost(load).bytes
        return needed <= self.room.bytes and needed < self._failed_bytes

    def largest_tokens(self, load: Load) -> int:
        """Give the tokens of the largest job that fits, with all else as in a load; 0 for none.

        It is no more than the family folds at all.
        """
        most = self.family.capabilities.max_tokens
        return _largest(most, lambda tokens: self.fits(_of_tokens(load, tokens)))

    def largest_batch(self, load: Load) -> int:
        """Say how many jobs of a load, from the first on, can be folded at once.

        Returns:
            0 where the first alone does not fit; at most 1 where the family takes jobs one by one.
        """
        if not load.tokens:
            return 0
        most = load.jobs if self._demand(load.part(0, 1)).batches else 1
        return _largest(most, lambda count: self.fits(load.part(0, count)))

    def admit(self, load: Load, *, name: str = "") -> Admission:
        """Let a load through as it is, frugally, or with fewer jobs; else refuse it.

        Args:
            load: The jobs.
            name: Of the job, for the message.

        Raises:
            CapabilityError: Not even the first job fits; what is needed, what is there, the largest
                that would fit, and what would help are named.
        """
        if self.fits(load):
            return Admission(load, self.cost(load), "runs")
        batch = self.largest_batch(load)
        if 0 < batch < load.jobs:
            smaller = load.part(0, batch)
            return Admission(smaller, self.cost(smaller), "runs in smaller batches")
        first = dataclasses.replace(load.part(0, 1), frugal=True)
        if self.fits(first):
            return Admission(first, self.cost(first), "runs frugally")
        raise self.refusal(load, name=name)

    def refusal(self, load: Load, *, name: str = "") -> CapabilityError:
        """Give the error for a load that does not fit, whatever it gives up."""
        frugal = dataclasses.replace(load.part(0, 1), frugal=True)
        needed, there = self.cost(frugal).bytes, self.room
        largest = self.largest_tokens(frugal)
        fitting = (
            Message("at most {largest} {unit} fit", largest=largest, unit=self._unit)
            if largest >= self.family.capabilities.min_length
            else Message("not even the shortest chain fits")
        )
        start = Message("job {name!r}: ", name=name) if name else ""
        error = CapabilityError(
            Message(
                "{start}{tokens} {unit} need {needed} of memory with {family}, and {told}: "
                "{fitting}",
                start=start,
                tokens=load.tokens[0],
                unit=self._unit,
                needed=bytes_shown(needed),
                family=self.family.name,
                told=there.shown,
                fitting=fitting,
            ),
            hint=joined(self._remedies(frugal, needed, largest), ";"),
        )
        error.needed_bytes = needed
        error.passing = there.bytes < needed <= there.most_bytes
        return error

    def learn_exhausted(self, load: Load) -> None:
        """Take note that memory ran out though a load was admitted.

        In this run nothing of its size fits any more. Constants are raised so that it would not
        have been admitted, up to twice what was measured, and kept for later runs until
        `itda bench calibrate` measures anew.
        """
        predicted = self.cost(load).bytes
        # At least a tenth more, since a device may have had less than it said.
        raised = max(1.1, 1.01 * self.room.bytes / max(1, predicted))
        self._learned = min(LEARNED_AT_MOST, self._learned * raised)
        self._failed_bytes = min(self._failed_bytes, self.cost(load).bytes)
        key = calibration.sizes_key(self.family.name, self.sizes)
        try:
            calibration.store(self.described, learned={key: self._learned})
        except OutputError:
            # Where nothing can be kept, this run still knows.
            return

    def _demand(self, load: Load) -> Demand:
        whole = on_device(load, self.described)
        # A family of published sizes need not know of others.
        return self.family.demand(whole, self.sizes) if self.sizes else self.family.demand(whole)

    @property
    def _unit(self) -> Message:
        atoms = self.family.capabilities.has_atom_tokens
        return Message("tokens") if atoms else Message("residues")

    def _remedies(self, load: Load, needed: int, largest: int) -> list[str]:
        found = []
        if load.samples > 1 and self.fits(dataclasses.replace(load, samples=1)):
            found.append(Message("it fits with {--samples:1}"))
        if load.templates and self.fits(dataclasses.replace(load, templates=0)):
            found.append(Message("it fits without templates"))
        machine = room(self.device).bytes if self.limit_bytes is not None else 0
        if machine >= needed:
            found.append(
                Message("raise {--memory} to {needed:.1f}G", needed=math.ceil(needed / 1e8) / 10)
            )
        if self.device != "cpu":
            spare = Predictor(self.family, "cpu")
            if spare.fits(load):
                found.append(
                    Message(
                        "use {--device:cpu}, where {bytes} are there",
                        bytes=bytes_shown(spare.room.bytes),
                    )
                )
        if largest >= self.family.capabilities.min_length:
            found.append(
                Message("fold a part of up to {largest} {unit}", largest=largest, unit=self._unit)
            )
        return [*found, "use a device with more memory"]


def _of_tokens(load: Load, tokens: int) -> Load:
    """Give the load of one job of another size, with atoms in the same proportion."""
    atoms = tuple(
        math.ceil(atoms * tokens / before)
        for atoms, before in zip(load.atoms[:1], load.tokens[:1], strict=False)
    )
    return dataclasses.replace(load, tokens=(tokens,), atoms=atoms)


def _largest(most: int, fits: Callable[[int], bool]) -> int:
    """Give the largest of 1 to `most` that fits, where all below it fit too; 0 for none."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle):
            low = middle
        else:
            high = middle - 1
    return low
