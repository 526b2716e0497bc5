"""`itda` with fakes: `--msa mmseqs` is a slow search in four steps, the family needs no weights.

`SEARCH_LOG` names a file that gets a line for each search and each step.
"""

import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "engine"))

from fake_family import FakeFamily, install
from fake_search import FakeSource

from itda.cli.main import main
from itda.engine import search_options
from itda.engine.searches import Searches

STEP_SECONDS = 0.4


def choose_searches(options: object, family: object) -> Searches:
    log = Path(os.environ["SEARCH_LOG"])
    return Searches(FakeSource(log=log, step_seconds=STEP_SECONDS))


if __name__ == "__main__":
    search_options.choose_searches = choose_searches
    install(FakeFamily())
    main()
