"""What folding asks of a machine: bytes that live at once and work to be done."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from itda.models.parameters import FamilyParameters

FORMULAS = 4
"""Version of what all families ask for; constants that were fitted to another one are not used."""

DeviceKind = Literal["cpu", "cuda", "mps"]
Precision = Literal["float32", "bfloat16", "float16"]

PAIRS_AT_ONCE = 1024
GPU_STRETCH = 256
"""Pairs at a time, and how many times that on a GPU; as in `itda.nn.rows`."""

SPEED_OF_THREADS = 0.75
"""So many threads are so many times as fast, to this power, as one."""

ATOMS_OF_A_RESIDUE = 7.8
"""Heavy atoms, on average over proteins."""

NUMBER_BYTES: Mapping[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True, kw_only=True)
class Load:
    """Jobs that a family folds at once; a batch is padded to its longest.

    Attributes:
        tokens: Of each job: residues, nucleotides, and atoms of ligands and modified residues.
        atoms: Heavy atoms of each job; none where nobody counted.
        chains: Most chains of a job.
        alignment_rows: Most rows of an alignment; 0 where there is none.
        templates: Most templates of a job.
        samples: Structures of each job.
        template_sets: How many of them are folded after templates of their own, each as a job of
            its own would be; 1 where all share one set.
        recycles: Passes beyond the first; None for the family's choice.
        frugal: Whether speed is given up for memory: fewer samples and pairs at a time, weights
            that are fetched as they are needed.
        device: Kind of device.
        cores: Of the processor, where that is the device; 1 elsewhere.
        parameters: Of the family's own, such as steps; None where it has none.
        dtype: Number format of the parts of a network that may be computed in half precision; None
            for float32.
    """

    tokens: tuple[int, ...]
    atoms: tuple[int, ...] = ()
    chains: int = 1
    alignment_rows: int = 0
    templates: int = 0
    samples: int = 1
    template_sets: int = 1
    recycles: int | None = None
    frugal: bool = False
    parameters: FamilyParameters | None = None
    device: DeviceKind = "cpu"
    cores: int = 1
    dtype: Precision | None = None

    @property
    def longest(self) -> int:
        """Tokens that the batch is padded to."""
        return max(self.tokens)

    @property
    def most_atoms(self) -> int:
        """Heavy atoms that the batch is padded to; of proteins where nobody counted."""
        return max(self.atoms, default=math.ceil(ATOMS_OF_A_RESIDUE * self.longest))

    def part(self, first: int, last: int) -> Load:
        """Give the load of some of the jobs."""
        return dataclasses.replace(
            self, tokens=self.tokens[first:last], atoms=self.atoms[first:last]
        )

    @property
    def jobs(self) -> int:
        """Jobs of the batch."""
        return len(self.tokens)

    @property
    def number_bytes(self) -> int:
        """Bytes of a number in `dtype`."""
        return NUMBER_BYTES[self.dtype or "float32"]


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What a load comes to, from the architecture alone; a machine's constants turn it to seconds.

    Attributes:
        weights_bytes: Weights that stay in the memory of the device.
        live_bytes: The largest set of arrays that live at once, beside the weights.
        work: By kind, in units that a constant turns to seconds; see `Work`.
        batches: Whether several jobs go through the network at once; otherwise a load of several
            is folded one after the other, and asks for the memory of the largest.
    """

    weights_bytes: int
    live_bytes: int
    work: Mapping[str, float]
    batches: bool = True


@dataclass
class Work:
    """Adds up what is to be done, by kind.

    - `products`: operations (multiplications and additions) of products of vectors with weights;
    - `half_products`: the same in half precision;
    - `pair_products`: operations of triangle products and of attention;
    - `moved`: bytes that are read or written where nothing is multiplied by a matrix;
    - `calls`: operations that are started, each with a cost of its own whatever its size;
    - `streamed`: bytes of weights that are read from a file during the fold;
    - `jobs`: structures that are read in and written out;
    - `refine_steps`, `refine_atoms` and `refine_pairs`: steps of the refinement of a geometry, and
      atoms and pairs of residues in each.
    """

    sums: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def add(self, kind: str, amount: float) -> None:
        """Add units of a kind."""
        self.sums[kind] += amount

    def product(self, vectors: float, weights: float, *, half: bool = False) -> None:
        """Add the product of some vectors with a matrix of so many weights."""
        self.sums["half_products" if half else "products"] += 2 * vectors * weights

    def join(self, other: Work, times: float = 1.0) -> None:
        """Add all of another, a number of times."""
        for kind, amount in other.sums.items():
            self.sums[kind] += times * amount

    def scaled(self, times: float) -> Mapping[str, float]:
        """Give all sums, a number of times."""
        return {kind: times * amount for kind, amount in self.sums.items()}


@dataclass(frozen=True)
class Pairs:
    """Sizes that work on a pair representation has.

    Attributes:
        batch: Jobs that go through the network at once.
        tokens: That each is padded to.
        stretch: Pairs that are worked on at a time.
    """

    batch: int
    tokens: int
    stretch: int

    @classmethod
    def from_load(cls, load: Load, *, tokens: int, batch: int = 1) -> Pairs:
        """Give the sizes on the device of a load, for jobs that are padded to so many tokens."""
        few = load.device == "cpu" or load.frugal
        return cls(batch, tokens, PAIRS_AT_ONCE if few else GPU_STRETCH * PAIRS_AT_ONCE)

    @property
    def singles(self) -> int:
        """Vectors of the single representation."""
        return self.batch * self.tokens

    @property
    def count(self) -> int:
        """Vectors of the pair representation."""
        return self.batch * self.tokens**2

    @property
    def rows(self) -> int:
        """Rows of the pair representation in a stretch."""
        return min(self.tokens, max(1, self.stretch // max(1, self.singles)))

    @property
    def stretches(self) -> int:
        """Stretches of the pair representation."""
        return -(-self.tokens // self.rows)

    @property
    def stretch_vectors(self) -> int:
        """Vectors of a stretch."""
        return self.rows * self.singles

    def triangle_arrays(self) -> float:
        """Arrays that a triangle update holds beside the pair, in vectors of its channels.

        The two edges and, while they are made, what a stretch is projected to; or the edges, their
        product, and what a stretch of it is read with.
        """
        return self.count * 2 + max(4 * self.stretch_vectors, self.count + 2 * self.stretch_vectors)


def triangle_multiplication(work: Work, pairs: Pairs, channels: int) -> None:
    """Add one triangle multiplicative update."""
    work.product(pairs.count, 6 * channels**2)
    work.add("pair_products", 2 * channels * pairs.count * pairs.tokens)
    work.add("moved", 4 * pairs.count * 30 * channels)
    work.add("calls", 4 + pairs.stretches * 24)


def triangle_attention(work: Work, pairs: Pairs, channels: int, heads: int) -> None:
    """Add attention among the edges of one node."""
    work.product(pairs.count, 5 * channels**2 + channels * heads)
    work.add("pair_products", 4 * channels * pairs.count * pairs.tokens)
    # Scores are not kept, but each is exponentiated.
    work.add("moved", 4 * pairs.count * (20 * channels + heads * pairs.tokens))
    work.add("calls", 4 + pairs.stretches * 24)


def pair_transition(work: Work, pairs: Pairs, channels: int, factor: int, *, gated: bool) -> None:
    """Add a transition of the pair representation."""
    work.product(pairs.count, (3 if gated else 2) * factor * channels**2)
    wide = factor * channels
    work.add("moved", 4 * pairs.count * (6 * channels + (6 if gated else 3) * wide))
    work.add("calls", pairs.stretches * 8)


def single_attention(
    work: Work, pairs: Pairs, single: int, channels: int, heads: int, *, factor: int, gated: bool
) -> None:
    """Add attention over residues with a bias from the pair, and the transition after it."""
    work.product(pairs.singles, 5 * single**2 + (3 if gated else 2) * factor * single**2)
    work.product(pairs.count, channels * heads)
    work.add("pair_products", 4 * single * pairs.count)
    work.add("moved", 4 * pairs.count * (3 * channels + 8 * heads))
    work.add("moved", 4 * pairs.singles * (20 + 4 * factor) * single)
    work.add("calls", 30 + pairs.stretches * 3)


def single_to_pair(work: Work, pairs: Pairs, single: int, channels: int, inner: int) -> None:
    """Add the update of the pair from products and differences of singles."""
    work.product(pairs.singles, 2 * single * inner + 2 * inner * channels)
    work.product(pairs.count, inner * channels)
    work.add("moved", 4 * pairs.count * (2 * inner + 6 * channels))
    work.add("calls", 10 + pairs.stretches * 5)


@dataclass(frozen=True)
class PointAttention:
    """Sizes of invariant point attention in a structure module.

    Attributes:
        channels: Of singles inside.
        pair_channels: Of the pair representation that it reads.
        heads: Of attention.
        head_channels: Scalar channels of a head.
        query_points: Query and key points of a head.
        value_points: Value points of a head.
    """

    channels: int
    pair_channels: int
    heads: int
    head_channels: int = 16
    query_points: int = 4
    value_points: int = 8

    def add_to(self, work: Work, pairs: Pairs) -> None:
        """Add one step with its transition of three layers."""
        inside = self.heads * (3 * self.head_channels + 3 * self._points)
        gathered = self.heads * (self.head_channels + 4 * self.value_points + self.pair_channels)
        work.product(pairs.singles, self.channels * (inside + gathered + 3 * self.channels))
        work.product(pairs.count, self.pair_channels * self.heads)
        a_pair = self.head_channels + 3 * self.query_points
        a_pair += self.head_channels + 3 * self.value_points + self.pair_channels
        work.add("pair_products", 2 * pairs.count * self.heads * a_pair)
        work.add("moved", 4 * pairs.count * (2 * self.pair_channels + 16 * self.heads))
        work.add("calls", 120)

    @property
    def _points(self) -> int:
        return 2 * self.query_points + self.value_points


def one_after_the_other(demands: list[Demand]) -> Demand:
    """Join the demands of jobs that are folded one after the other."""
    work = Work()
    for demand in demands:
        for kind, amount in demand.work.items():
            work.add(kind, amount)
    return Demand(
        weights_bytes=max(demand.weights_bytes for demand in demands),
        live_bytes=max(demand.live_bytes for demand in demands),
        work=work.scaled(1),
        batches=False,
    )
