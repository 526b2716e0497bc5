"""`docs/parity.md`, made from the results of `itda parity`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_HEAD = """# Parity with reference packages

Itda runs published weights with its own code. This page is made by `itda parity` from what it
measured; do not edit it. Each family stands beside the package that its authors or users run, with
the same weights and the same inputs, in float32 on a CPU. A sabotage breaks our side a little and
must be noticed: a comparison that cannot fail shows nothing. The audit says what became of every
published tensor.

To measure again: `pip install "itda[parity]"`, then `itda parity all --markdown docs/parity.md`.
"""


def to_markdown(reports: Sequence[Mapping[str, Any]]) -> str:
    """Write the page.

    Args:
        reports: Each as `Report.to_dict` gives it.
    """
    return "\n".join([_HEAD, *(_family(report) for report in reports)])


def _family(report: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    cases = list(dict.fromkeys(row["case"] for row in report["rows"]))
    checks = list(dict.fromkeys(row["check"] for row in report["rows"]))
    cells = {(row["check"], row["case"]): row for row in report["rows"]}
    lines = [
        f"## {report['family']}: {report['weights']}",
        "",
        f"Reference: {report['reference']}. Measured with {versions}. "
        f"**{'All passed' if report['passed'] else 'FAILED'}.**",
        "",
        "Largest difference (those without a unit are divided by the reference's largest value):",
        "",
        f"| what is compared | may differ by | {' | '.join(cases)} |",
        f"| --- | --: |{' --: |' * len(cases)}",
    ]
    for check in checks:
        row = cells[check, cases[0]]
        found = " | ".join(_number(cells[check, case]) for case in cases)
        lines.append(f"| {check} | {row['tolerance']:g} {row['unit']} | {found} |")
    lines += ["", "Sabotages, each on one input:", ""]
    lines += [
        "| what is broken | noticed most by | difference over tolerance |",
        "| --- | --- | --: |",
    ]
    for one in report["sabotages"]:
        mark = "" if one["passed"] else " **NOT NOTICED**"
        lines.append(f"| {one['sabotage']} | {one['check']} | {one['times_tolerance']:.3g}{mark} |")
    return "\n".join([*lines, *_audit(report["audit"]), ""])


def _number(row: Mapping[str, Any]) -> str:
    return f"{row['difference']:.1e}" + ("" if row["passed"] else " **FAILED**")


def _audit(audit: Mapping[str, Any]) -> list[str]:
    lines = [
        "",
        f"Of {audit['total']} published tensors {audit['read']} are read. "
        + ("The others, and why that is right:" if audit["unused"] else "None is left out."),
        "",
    ]
    for reason, names in audit["unused"].items():
        shown = ", ".join(f"`{name}`" for name in names[:3])
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        change = audit["change_over_tolerance"].get(reason)
        proof = "not proven" if change is None else f"{change:.1g} of the tolerance"
        lines.append(
            f"- {shown}{more}: {reason}. Perturbed in the reference, its outputs change by {proof}."
        )
    return lines
