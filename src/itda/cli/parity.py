"""`itda parity`: a family beside the package that it follows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from itda.parity.harness import Report, Row


def parity(
    family: Annotated[str, typer.Argument(metavar="FAMILY|all", help="What to compare.")],
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all numbers as JSON.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with all numbers.")
    ] = None,
) -> None:
    """Compare a family with its reference package: same weights, same inputs.

    Needs the reference packages: pip install "itda[parity]".

    Exit status: 0 all numbers are near enough and every sabotage is noticed, 1 otherwise.
    """
    from rich.console import Console

    from itda.atomic import write_bytes, write_json
    from itda.parity.document import to_markdown
    from itda.parity.harness import run
    from itda.parity.suites import SUITES, suites_of

    console = Console(markup=False, highlight=False)
    errors = Console(stderr=True, markup=False, highlight=False)
    reports = []
    for name in SUITES if family == "all" else (family,):
        for build in suites_of(name):
            reports.append(run(build(), lambda text: errors.print(text, style="dim")))
            _show(reports[-1], console)
    plain: list[dict[str, Any]] = [report.to_dict() for report in reports]
    if json_file is not None:
        write_json(json_file, {"reports": plain})
    if markdown is not None:
        write_bytes(markdown, to_markdown(plain).encode())
    raise typer.Exit(0 if all(report.passed for report in reports) else 1)


def _show(report: Report, console: Any) -> None:
    from rich.table import Table

    console.print(f"{report.family} ({report.weights}) beside {report.reference}")
    table = Table("what is compared", "largest difference", "may be", "on", "")
    for check in dict.fromkeys(row.check for row in report.rows):
        worst = max((row for row in report.rows if row.check == check), key=_excess)
        limit = f"{worst.tolerance:g} {worst.unit}".strip()
        verdict = "ok" if worst.passed else "FAILED"
        table.add_row(check, f"{worst.difference:.1e}", limit, worst.case, verdict)
    console.print(table)
    for one in report.noticed:
        verdict = f"noticed by {one.check}" if one.passed else "NOT NOTICED"
        console.print(f"sabotage, {one.sabotage}: {verdict}")
    audit = report.audit
    console.print(
        f"tensors: {audit.read} of {audit.total} read, {len(audit.unused)} rightly unused"
        if audit.passed
        else f"tensors: the audit FAILED: {json.dumps(dict(audit.change), ensure_ascii=False)}"
    )


def _excess(row: Row) -> float:
    return row.difference / row.tolerance
