"""One database searched with HMMER's pipeline, shard by shard and iteration by iteration."""

from __future__ import annotations

import io
import json
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TypeAlias

from pyhmmer.easel import (
    AA,
    Alphabet,
    DigitalMSA,
    DigitalSequenceBlock,
    SequenceFile,
    TextSequence,
)
from pyhmmer.plan7 import (
    HMM,
    Background,
    Builder,
    HMMFile,
    OptimizedProfile,
    Pipeline,
    Profile,
    TopHits,
    Trace,
)

from itda.errors import DataError
from itda.language import Message
from itda.progress import Progress
from itda.search.databases.database import Database
from itda.search.sources.hmmer_settings import HmmerSettings
from itda.search.sources.rows import FoundRow
from itda.search.sources.steps import Steps

Model: TypeAlias = "HMM[AA]"
Hits: TypeAlias = "TopHits[HMM[AA] | Profile[AA] | OptimizedProfile[AA]]"
Block: TypeAlias = "DigitalSequenceBlock[AA]"

# What a thread searches before it reports: about half a second's work.
CHUNK_RESIDUES = 1_000_000
_SEED = 42


@dataclass(frozen=True)
class _Domain:
    """A part of a target that aligns with the query.

    Attributes:
        score: Of the target, in bits.
        e_value: Of the target.
        chance: Of a domain as good as this one in a single sequence.
        target: Name of the target.
        name: Header of the row.
        text: The row in A3M.
    """

    score: float
    e_value: float
    chance: float
    target: str
    name: str
    text: str


@dataclass(frozen=True)
class _Part:
    """What was found in a shard.

    Attributes:
        reported: Number of sequences up to the E-value limit of reports.
        included: Names of those up to the limit of the alignment.
        domains: Of those, each that would be good enough were its target the only one reported.
    """

    reported: int
    included: tuple[str, ...]
    domains: tuple[_Domain, ...]


class HmmerSearch:
    """A search of one database.

    Args:
        database: What is searched.
        query: One-letter protein sequence.
        program: Its name, for the progress.
        limits: Of what is reported and aligned.
        iterations: The most that are made.
        threads: Processor cores to use.
        steps: Where finished steps are kept.
        progress: Told the fraction of this database that is done.
    """

    def __init__(
        self,
        database: Database,
        query: str,
        *,
        program: str,
        limits: HmmerSettings,
        iterations: int,
        threads: int,
        steps: Steps,
        progress: Progress,
    ) -> None:
        self._database = database
        self._program = program
        self._limits = limits
        self._iterations = iterations
        self._threads = max(threads, 1)
        self._steps = steps
        self._progress = progress
        self._alphabet = Alphabet.amino()
        self._background = Background(self._alphabet)
        # The query's residues stay the columns of every profile, as jackhmmer has it.
        self._builder = Builder(self._alphabet, seed=_SEED, architecture="hand")
        self._query = TextSequence(name="query", sequence=query).digitize(self._alphabet)

    def rows(self) -> list[FoundRow]:
        """Return the rows of the last iteration, the best first.

        Raises:
            DataError: The database cannot be read, or HMMER refuses a sequence of it.
        """
        model, _, _ = self._builder.build(self._query, self._background)
        before: list[_Part] = []
        for iteration in range(1, self._iterations):
            step = f"{self._database.name}-profile-{iteration + 1}"
            profile = self._steps.read(step)
            if profile is None:
                profile = self._next_profile(model, iteration, before)
                self._steps.write(step, profile)
            before = self._parts(model, iteration)
            if not profile:
                return self._judged(before)
            with HMMFile(io.BytesIO(profile), alphabet=self._alphabet) as file:
                model = next(file)
        return self._judged(self._parts(model, self._iterations))

    def _next_profile(self, model: Model, iteration: int, before: Sequence[_Part]) -> bytes:
        """Search all shards and make a profile of what is found; empty where nothing is new."""
        found: list[Hits] = []
        for number in range(len(self._database.shards)):
            hits = list(self._search(model, iteration, number))
            self._write(iteration, number, hits)
            found += hits
        parts = self._parts(model, iteration)
        rows = self._judged(parts)
        # jackhmmer's own rule of convergence.
        is_new = _included(parts) - _included(before)
        if not is_new and len(rows) <= len(self._judged(before)):
            return b""
        merged = found[0].merge(*found[1:])
        limit = self._domain_limit(parts)
        for hit in merged:
            for domain in hit.domains:
                domain.included = domain.included and domain.pvalue <= limit
        alignment = merged.to_msa(
            self._alphabet,
            sequences=[self._query],
            traces=[Trace.from_sequence(self._query)],
            all_consensus_cols=True,
            digitize=True,
        )
        assert isinstance(alignment, DigitalMSA)
        alignment.name = f"query-{iteration + 1}"
        profile, _, _ = self._builder.build_msa(alignment, self._background)
        written = io.BytesIO()
        profile.write(written, binary=True)
        return written.getvalue()

    def _parts(self, model: Model, iteration: int) -> list[_Part]:
        """Give what an iteration finds in each shard, searching those that are not finished."""
        parts = []
        for number in range(len(self._database.shards)):
            kept = self._steps.read(self._step(iteration, number))
            if kept is None:
                kept = self._write(iteration, number, list(self._search(model, iteration, number)))
            said = json.loads(kept)
            parts.append(
                _Part(
                    said["reported"],
                    tuple(said["included"]),
                    tuple(_Domain(**domain) for domain in said["domains"]),
                )
            )
        return parts

    def _write(self, iteration: int, number: int, hits: Sequence[Hits]) -> bytes:
        part = _Part(
            sum(len(some.reported) for some in hits),
            tuple(hit.name for some in hits for hit in some.included),
            tuple(domain for some in hits for domain in _domains(some)),
        )
        content = json.dumps(asdict(part)).encode()
        self._steps.write(self._step(iteration, number), content)
        return content

    def _step(self, iteration: int, number: int) -> str:
        return f"{self._database.name}-{iteration}-{number + 1}"

    def _search(self, model: Model, iteration: int, number: int) -> Iterator[Hits]:
        """Search one shard, a chunk a thread at a time."""
        shards = self._database.shards
        total = self._database.residues * self._iterations or 1
        done = self._database.residues * (iteration - 1)
        done += sum(shard.residues for shard in shards[:number])
        said = f"{self._program} in {self._database.name}"
        if self._iterations > 1:
            said += f", iteration {iteration} of {self._iterations}"
        if len(shards) > 1:
            said += f", shard {number + 1} of {len(shards)}"
        under_way: deque[tuple[int, Future[Hits]]] = deque()
        with ThreadPoolExecutor(self._threads) as pool:
            try:
                for block in self._blocks(number):
                    residues = sum(len(sequence) for sequence in block)
                    under_way.append((residues, pool.submit(self._search_block, model, block)))
                    # One more than there are threads, so that none waits for the disk.
                    while len(under_way) > self._threads:
                        done += under_way[0][0]
                        yield under_way.popleft()[1].result()
                        self._progress(min(done / total, 1.0), said)
                for residues, search in under_way:
                    done += residues
                    yield search.result()
                    self._progress(min(done / total, 1.0), said)
            except (ValueError, OSError) as error:
                raise DataError(
                    Message(
                        "database {database}: shard {number}: {error}",
                        database=self._database.name,
                        number=number + 1,
                        error=error,
                    ),
                    hint=Message(
                        "`itda db check {database}` reads it all", database=self._database.name
                    ),
                ) from error
            finally:
                pool.shutdown(cancel_futures=True)

    def _blocks(self, number: int) -> Iterator[Block]:
        fasta = self._database.shards[number].fasta
        with SequenceFile(fasta, "fasta", digital=True, alphabet=self._alphabet) as file:
            while block := file.read_block(residues=CHUNK_RESIDUES):
                assert isinstance(block, DigitalSequenceBlock)
                yield block

    def _search_block(self, model: Model, block: Block) -> Hits:
        pipeline = Pipeline(
            self._alphabet,
            self._background,
            seed=_SEED,
            Z=self._database.sequences,
            # The least that it can be; `_judged` sets it right once all shards are searched.
            domZ=1,
            F1=self._limits.F1,
            F2=self._limits.F2,
            F3=self._limits.F3,
            E=self._limits.E,
            incE=self._limits.incE,
            incdomE=self._limits.incdomE,
        )
        return pipeline.search_hmm(model, block)

    def _judged(self, parts: Sequence[_Part]) -> list[FoundRow]:
        """Give the domains that are good enough among all reported sequences, the best first."""
        limit = self._domain_limit(parts)
        domains = [domain for part in parts for domain in part.domains if domain.chance <= limit]
        # Targets by score, then by name; the domains of one stay in their order.
        domains.sort(key=lambda domain: (-domain.score, domain.target))
        return [FoundRow(domain.e_value, domain.text, domain.name) for domain in domains]

    def _domain_limit(self, parts: Sequence[_Part]) -> float:
        return self._limits.incdomE / max(sum(part.reported for part in parts), 1)


def _included(parts: Sequence[_Part]) -> set[str]:
    return {name for part in parts for name in part.included}


def _domains(hits: Hits) -> Iterator[_Domain]:
    for hit in hits.included:
        for domain in hit.domains.included:
            aligned = domain.alignment
            text = (
                "-" * (aligned.hmm_from - 1)
                + aligned.target_sequence
                + "-" * (aligned.hmm_length - aligned.hmm_to)
            )
            place = f"{hit.name}/{aligned.target_from}-{aligned.target_to}"
            yield _Domain(
                score=hit.score,
                e_value=hit.evalue,
                chance=domain.pvalue,
                target=hit.name,
                name=f"{place} {hit.description or ''}".rstrip(),
                text=text,
            )
