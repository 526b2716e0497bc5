"""What is given for a family's own parameters, checked, shown, and refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from itda.errors import CapabilityError
from itda.job.problems import explain, nearest, shown
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
        raise explain(error, where=f"--parameter of {family.name}") from error


def parameter_schemas(family: Family) -> dict[str, dict[str, Any]]:
    """Describe each parameter of a family by its name, as a JSON schema does; none where it is."""
    if family.parameters is None:
        return {}
    found: dict[str, dict[str, Any]] = family.parameters.model_json_schema()["properties"]
    return found


def _unknown(name: str, family: Family) -> CapabilityError:
    own = list(parameter_schemas(family))
    has = f"has no such parameter; it has {', '.join(own)}" if own else "has none of its own"
    remedies = []
    close = nearest(name, own)
    if close is not None:
        remedies.append(f"did you mean `{close}`?")
    families = (registry.get_family(one) for one in registry.FAMILIES)
    able = [f"`--model {one.name}`" for one in families if name in parameter_schemas(one)]
    if able:
        remedies.append(f"choose {' or '.join(able)}, which has it")
    return CapabilityError(
        f"--parameter {shown(name)}: {family.name} {has}",
        hint="; ".join(remedies) or "leave it out; `itda models` says what each family has",
    )
