"""`itda` whose worker folds with the steered family, in processes of its own."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from itda.cli.main import main
from itda.server.work import command
from tests.cluster.helpers import CHILD
from tests.cluster.steered_family import install

if __name__ == "__main__":
    command.CHILD = CHILD
    command.RAY_SETUP = install
    main()
