"""What is given for a family's own parameters, checked, shown, and refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from itda.errors import CapabilityError
from itda.job.problems import explain, nearest, shown
from itda.language import Message, Option
from itda.models import registry
from itda.models.parameters import FamilyParameters

if TYPE_CHECKING:
    from itda.models.family import Family


def choose_parameters(given: Mapping[str, Any], family: Family) -> FamilyParameters | None:
    """Check what a user gives against what a family has; text stands for numbers too.

    Args:
        given: Values by name.
        family: The chosen one.

    Returns:
        All of them, defaults put in; None where the family has none.

    Raises:
        CapabilityError: The family has no parameter of such a name.
        InputError: A value breaks a rule of the family's.

    >>> choose_parameters({}, registry.get_family("mini"))
    """
    kind = family.parameters
    for name in given:
        if kind is None or name not in kind.model_fields:
            raise _unknown(name, family)
    if kind is None:
        return None
    try:
        return kind(**given)
    except ValidationError as error:
        raise explain(
            error, where=Message("{--parameter} of {family}", family=family.name)
        ) from error


def parameter_schemas(family: Family) -> dict[str, dict[str, Any]]:
    """Describe each parameter of a family by its name, as a JSON schema does; none where it is."""
    if family.parameters is None:
        return {}
    found: dict[str, dict[str, Any]] = family.parameters.model_json_schema()["properties"]
    return found


def _unknown(name: str, family: Family) -> CapabilityError:
    own = list(parameter_schemas(family))
    given = {"name": shown(name), "family": family.name}
    problem = (
        Message(
            "{--parameter:{name}}: {family} has no such parameter; it has {own:,}", own=own, **given
        )
        if own
        else Message("{--parameter:{name}}: {family} has none of its own", **given)
    )
    remedies = []
    close = nearest(name, own)
    if close is not None:
        remedies.append(Message("did you mean `{close}`?", close=close))
    families = (registry.get_family(one) for one in registry.FAMILIES)
    able = [
        Option("model", one.name, code=True) for one in families if name in parameter_schemas(one)
    ]
    if able:
        remedies.append(Message("choose {able:or}, which has it", able=able))
    return CapabilityError(
        problem,
        hint=remedies or Message("leave it out; `itda models` says what each family has"),
    )
