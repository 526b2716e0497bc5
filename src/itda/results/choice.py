"""Which candidate set of templates the best prediction was folded after, and how the others did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from itda.language import Message, joined
from itda.search.evidence import TEMPLATE_SET
from itda.structure.prediction import Prediction

if TYPE_CHECKING:
    from itda.results.folded import FoldedJob


@dataclass(frozen=True)
class TemplateChoice:
    """The candidate set that a prediction was folded after.

    Attributes:
        number: From 1; the first is all templates together.
        of: How many sets there were.
        templates: Names of those in the set.
    """

    number: int
    of: int
    templates: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give plain data for JSON."""
        return {
            "template_set": self.number,
            "template_sets": self.of,
            "templates": list(self.templates),
        }

    @property
    def shown(self) -> Message:
        """The set, for people."""
        if not self.templates:
            return Message("the one without templates")
        if len(self.templates) == 1:
            return Message("template {name} alone", name=self.templates[0])
        if self.number == 1:
            return Message("the first {count} together", count=len(self.templates))
        return Message("templates {names:,}", names=list(self.templates))


def choice_of(prediction: Prediction) -> TemplateChoice | None:
    """Return the candidate set of a prediction; None where there was nothing to choose."""
    inputs = prediction.provenance.inputs
    if TEMPLATE_SET not in inputs:
        return None
    number, of = map(int, inputs[TEMPLATE_SET].split(" of "))
    names = [
        name
        for key, value in inputs.items()
        if key.rpartition(".")[2] == "templates"
        for name in value.split(", ")
        if name
    ]
    return TemplateChoice(number, of, tuple(dict.fromkeys(names)))


def choice_told(result: FoldedJob) -> Message | None:
    """Say which candidate set won, and what all together and none would have given."""
    chosen = choice_of(result.best)
    if chosen is None:
        return None
    best: dict[int, tuple[TemplateChoice, float]] = {}
    for prediction in result.predictions:
        choice = choice_of(prediction)
        if choice is not None:
            best.setdefault(choice.number, (choice, prediction.mean_plddt))
    if len(best) < 2:
        return None
    others = [
        Message("all together {plddt:.0f}", plddt=plddt)
        if choice.number == 1
        else Message("without templates {plddt:.0f}", plddt=plddt)
        for choice, plddt in sorted(best.values(), key=lambda one: one[0].number)
        if choice.number != chosen.number and (choice.number == 1 or not choice.templates)
    ]
    return joined(
        [
            Message(
                "of {count} candidate sets, {winner} gave the most confident fold: pLDDT "
                "{plddt:.0f}",
                count=len(best),
                winner=chosen.shown,
                plddt=result.best.mean_plddt,
            ),
            *others,
        ],
        ";",
    )
