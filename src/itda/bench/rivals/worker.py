"""One side in a process of its own: reads requests and answers them, in JSON lines.

python -m itda.bench.rivals.worker ours|boltz|openfold3|protenix
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from typing import Any

from itda.bench.memory import PeakMeter
from itda.bench.rivals.blocks import PAIR_CHANNELS, RIVALS, SINGLE_CHANNELS, Block, ours


class Worker:
    """Answers for one side.

    Args:
        side: "ours" or a key of `RIVALS`.
    """

    def __init__(self, side: str) -> None:
        import torch

        self._rival = side != "ours"
        # Autocast keeps a rival's weights in float32, so one block serves both precisions.
        self._blocks: dict[str, Block] = {}
        self._side = side
        self._torch = torch

    def block(self, precision: str, *, bias_transposed: bool = False) -> Block:
        """Make the block of a precision at its first use."""
        key = "float32" if self._rival else f"{precision} {bias_transposed}"
        if key not in self._blocks:
            self._blocks[key] = (
                RIVALS[self._side]()
                if self._rival
                else ours(precision, ending_bias_transposed=bias_transposed)
            )
            self._randomise(self._blocks[key])
        return self._blocks[key]

    def about(self) -> dict[str, Any]:
        """Say which package answers."""
        block = self.block("float32")
        return {
            "package": block.package,
            "version": block.version,
            "torch": self._torch.__version__,
            "bias_transposed": block.bias_transposed,
        }

    def numbers(
        self, weights: str, inputs: str, outputs: str, precision: str, bias_transposed: bool
    ) -> dict[str, Any]:
        """Compute with given weights and inputs, and write the new single and pair."""
        block = self.block(precision, bias_transposed=bias_transposed)
        block.load(self._torch.load(weights, weights_only=True))
        given = self._torch.load(inputs, weights_only=True)
        with self._torch.no_grad(), self._precision(precision):
            single, pair = block.calls["block"](given["single"], given["pair"])
        self._torch.save({"single": single.float(), "pair": pair.float()}, outputs)
        return {}

    def measure(self, part: str, tokens: int, precision: str) -> dict[str, Any]:
        """Take the processor seconds of a part, and the peak of memory with its inputs."""
        call = self.block(precision).calls[part]
        meter = PeakMeter()
        generator = self._torch.Generator().manual_seed(tokens)
        single = self._torch.randn(1, tokens, SINGLE_CHANNELS, generator=generator)
        pair = self._torch.randn(1, tokens, tokens, PAIR_CHANNELS, generator=generator)
        with self._torch.no_grad(), self._precision(precision):
            began = time.process_time()
            result = call(single, pair)
            seconds = time.process_time() - began
        answer = {"seconds": seconds, "bytes": meter.growth_bytes(), "exact": meter.exact}
        del result
        return answer

    def _precision(self, precision: str) -> contextlib.AbstractContextManager[Any]:
        if self._rival and precision == "bfloat16":
            autocast: contextlib.AbstractContextManager[Any] = self._torch.autocast(
                "cpu", dtype=self._torch.bfloat16
            )
            return autocast
        return contextlib.nullcontext()

    def _randomise(self, block: Block) -> None:
        """Give weights that keep numbers of ordinary size; zeros would be multiplied faster."""
        generator = self._torch.Generator().manual_seed(0)
        for parameter in block.module.parameters():
            width = parameter.shape[-1] ** -0.5 if parameter.ndim > 1 else 1.0
            parameter.data.normal_(0, width, generator=generator)


def main() -> None:
    """Answer until standard input ends."""
    import torch

    torch.set_num_threads(1)
    answers = sys.stdout
    # What a package prints must not come between the answers.
    sys.stdout = sys.stderr
    worker = Worker(sys.argv[1])
    for line in sys.stdin:
        request = json.loads(line)
        answer = getattr(worker, request.pop("do"))(**request)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
