"""Names that are used and never defined.

Shapes stand in annotations as strings that are no Python (`Float[Tensor, "batch token"]`), so ruff's
F821 and mypy's name-defined are off; what they would say outside of strings is said here.
"""

import io
import json
import subprocess
import sys
import tokenize
from functools import cache
from pathlib import Path


@cache
def strings(path: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    source = io.StringIO(Path(path).read_text(encoding="utf-8"))
    return [
        (token.start, token.end)
        for token in tokenize.generate_tokens(source.readline)
        if token.type == tokenize.STRING
    ]


def main() -> int:
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821"]
    done = subprocess.run(
        [*command, "--output-format", "json", *sys.argv[1:]],
        capture_output=True,
        text=True,
        check=False,
    )
    found = 0
    for finding in json.loads(done.stdout):
        place = finding["location"]["row"], finding["location"]["column"] - 1
        path = finding["filename"]
        if not any(start <= place < end for start, end in strings(path)):
            print(f"{path}:{place[0]}: {finding['message']}")
            found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
