"""What turns a family's demand into the bytes and seconds of one device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from itda.models.demand import Demand


@dataclass(frozen=True, kw_only=True)
class Constants:
    """Of one family on one device.

    Attributes:
        fixed_bytes: The program itself, with PyTorch; weights apart.
        bytes_per_live: Bytes that are taken for each byte that the formulas count as live.
        address_bytes: Address space beside the memory that is taken.
        fixed_seconds: Of a fold, whatever its size.
        seconds: For each unit of work, by kind.
        start_seconds: Until weights are loaded and the first fold can begin.
    """

    fixed_bytes: float
    bytes_per_live: float
    address_bytes: float
    fixed_seconds: float
    seconds: Mapping[str, float]
    start_seconds: float

    def bytes_of(self, demand: Demand) -> float:
        """Predict the peak of the process, or of the memory of a device that is not the CPU."""
        return self.fixed_bytes + demand.weights_bytes + self.bytes_per_live * demand.live_bytes

    def seconds_of(self, demand: Demand) -> float:
        """Predict the seconds of the fold alone, weights being loaded."""
        return self.fixed_seconds + sum(
            amount * self.seconds.get(kind, 0.0) for kind, amount in demand.work.items()
        )

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON holds it."""
        return {**asdict(self), "seconds": dict(self.seconds)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_dict` wrote.

        Raises:
            KeyError: A field is missing.
            TypeError: A field is no number.
            ValueError: Likewise.
        """
        numbers = {
            name: float(data[name])
            for name in (
                "fixed_bytes",
                "bytes_per_live",
                "address_bytes",
                "fixed_seconds",
                "start_seconds",
            )
        }
        seconds = {str(kind): float(value) for kind, value in data["seconds"].items()}
        return cls(**numbers, seconds=seconds)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What is published about a device, for one on which nothing was measured.

    Attributes:
        products: Operations a second in float32.
        half_products: In its half precision.
        moved: Bytes a second from and to memory.
        call_seconds: Of starting one operation.
    """

    products: float
    half_products: float
    moved: float
    call_seconds: float

    def constants(self, kind: str) -> Constants:
        """Derive constants: shares of the published peaks that such networks reach, and no more.

        Args:
            kind: Of device.
        """
        processor = kind == "cpu"
        seconds = {
            "products": 1 / (0.6 * self.products),
            "half_products": 1 / (0.5 * self.half_products),
            "pair_products": 1 / (0.3 * self.products),
            "moved": 1 / (0.5 * self.moved),
            "calls": self.call_seconds,
            "streamed": 1 / 1e9,
            "jobs": 0.02,
            # Always on the processor.
            "refine_steps": 1e-3,
            "refine_atoms": 1e-7,
            "refine_pairs": 2e-8,
        }
        return Constants(
            fixed_bytes=3.2e8 if processor else 1e8,
            bytes_per_live=1.15 if processor else 1.3,
            address_bytes=5e8 if processor else 2e10,
            fixed_seconds=0.05,
            seconds=seconds,
            start_seconds=4.0 if processor else 8.0,
        )
