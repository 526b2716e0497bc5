"""What a run did at each step: JSON lines, a table and a plot."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any


class MetricsLog:
    """Metrics of one run, one JSON object a step; a resumed run repeats none and loses none.

    Args:
        path: The `.jsonl` file.
        write: Whether this process writes; the others only count.
    """

    def __init__(self, path: Path, *, write: bool) -> None:
        self.path = path
        self._write = write
        self._waiting: list[str] = []

    def add(
        self,
        step: int,
        loss: float,
        parts: dict[str, float],
        learning_rate: float,
        validation: float | None,
    ) -> None:
        """Note one step."""
        row: dict[str, Any] = {"step": step, "loss": loss, "learning_rate": learning_rate, **parts}
        if validation is not None:
            row["validation_lddt_ca"] = validation
        self._waiting.append(json.dumps(row))
        if len(self._waiting) >= 100:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        if self._write and self._waiting:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write("\n".join(self._waiting) + "\n")
        self._waiting.clear()

    def truncate(self, step: int) -> None:
        """Forget what came after the step that a checkpoint holds."""
        if not self._write or not self.path.exists():
            return
        kept = [row for row in self.rows() if row["step"] <= step]
        self.path.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")

    def rows(self) -> list[dict[str, Any]]:
        """Read all whole lines back; a line that a kill cut short is left out."""
        rows = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:
                break
        return rows

    def write_table(self, path: Path) -> None:
        """Write all rows as CSV."""
        rows = self.rows()
        columns = list(dict.fromkeys(key for row in rows for key in row))
        with path.open("w", encoding="utf-8", newline="") as stream:
            table = csv.DictWriter(stream, columns)
            table.writeheader()
            table.writerows(rows)

    def plot(self, path: Path) -> None:
        """Draw the loss, its moving median, and validation CA-lDDT over steps."""
        import matplotlib

        matplotlib.use("Agg")
        import numpy as np
        from matplotlib import pyplot

        rows = self.rows()
        steps = np.array([row["step"] for row in rows])
        loss = np.array([row["loss"] for row in rows])
        figure, (above, below) = pyplot.subplots(2, 1, figsize=(8, 6), sharex=True)
        above.plot(steps, loss, color="0.8", linewidth=0.5, label="each step")
        window = max(1, len(loss) // 50)
        smooth = [np.median(loss[max(0, i - window) : i + 1]) for i in range(len(loss))]
        above.plot(steps, smooth, label=f"median of {window} steps")
        above.set_ylabel("loss")
        above.legend()
        scored = [
            (row["step"], row["validation_lddt_ca"])
            for row in rows
            if row.get("validation_lddt_ca") is not None
        ]
        if scored:
            below.plot(*zip(*scored, strict=True), marker="o")
        below.set_ylabel("validation CA-lDDT")
        below.set_xlabel("step")
        figure.tight_layout()
        figure.savefig(path, dpi=120)
        pyplot.close(figure)
