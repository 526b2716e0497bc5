"""What every group of inputs can do: be padded, stacked into a batch, and moved.

A group declares its arrays once: the axes by their names in the jaxtyping shape, and what stands in
places that an example does not have by `padding`. An axis has one name wherever it stands
(`token`, `atom`, `template`, `row` of an alignment), and one length in a batch; along `batch`, the
first axis of every array, examples are joined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self, TypeVar, get_type_hints

import torch
from torch import Tensor
from torch.nn import functional

BATCH = "batch"
_PADDING = "padding"

GroupType = TypeVar("GroupType", bound="Group")


@dataclass(frozen=True)
class Array:
    """How a field is declared.

    Attributes:
        name: Of the field, with the group's.
        axes: Names, or lengths that never change.
        padding: What stands where an example has none; None where nothing is declared.
    """

    name: str
    axes: tuple[str, ...]
    padding: float | bool | None


def padding(value: float | bool) -> Mapping[str, float | bool]:
    """Return what declares, as a field's metadata, what stands where an example has nothing.

    A mask, padded with False, is what keeps it without effect.
    """
    return {_PADDING: value}


@dataclass(frozen=True, eq=False)
class Group:
    """A base for frozen dataclasses whose fields are arrays, or groups of them."""

    def sizes(self) -> dict[str, int]:
        """Return the length of each axis that has a name; the longest where arrays differ."""
        return _longest(
            (axis, size)
            for declared, tensor in self._arrays()
            for axis, size in zip(declared.axes, tensor.shape, strict=True)
            if not axis.isdigit()
        )

    def pad(self, sizes: Mapping[str, int]) -> Self:
        """Lengthen axes at their end, with what each array declares.

        Args:
            sizes: Length by axis; an axis that is not named stays as it is.

        Raises:
            ValueError: An axis is longer already.
            TypeError: An array that has such an axis declares no padding.
        """
        return self._mapped(lambda declared, tensor: _padded(tensor, declared, sizes))

    def to(self, device: torch.device | str) -> Self:
        """Move all arrays."""
        return self._mapped(lambda _, tensor: tensor.to(device))

    @classmethod
    def stack(cls, groups: Sequence[Self]) -> Self:
        """Make one batch of several, each axis as long as the longest of all.

        Raises:
            ValueError: There is none.
            TypeError: An array declares no padding.
        """
        if not groups:
            raise ValueError("there is nothing to stack")
        sizes = _longest(item for group in groups for item in group.sizes().items())
        del sizes[BATCH]
        return _joined([group.pad(sizes) for group in groups])

    def _arrays(self) -> Iterator[tuple[Array, Tensor]]:
        for name, declared in _declarations(type(self)).items():
            value = getattr(self, name)
            if declared is None:
                yield from value._arrays()
            else:
                yield declared, value

    def _mapped(self, change: Callable[[Array, Tensor], Tensor]) -> Self:
        values = {}
        for name, declared in _declarations(type(self)).items():
            value = getattr(self, name)
            values[name] = value._mapped(change) if declared is None else change(declared, value)
        return type(self)(**values)


def _joined(groups: Sequence[GroupType]) -> GroupType:
    kind = type(groups[0])
    values: dict[str, Any] = {}
    for name, declared in _declarations(kind).items():
        parts = [getattr(group, name) for group in groups]
        values[name] = _joined(parts) if declared is None else torch.cat(parts)
    return kind(**values)


_DECLARED: dict[type[Any], Mapping[str, Array | None]] = {}


def _declarations(kind: type[Any]) -> Mapping[str, Array | None]:
    """Return how each field is declared, read once; None for a group."""
    if kind not in _DECLARED:
        _DECLARED[kind] = _read_declarations(kind)
    return _DECLARED[kind]


def _read_declarations(kind: type[Any]) -> Mapping[str, Array | None]:
    hints = get_type_hints(kind)
    declarations: dict[str, Array | None] = {}
    for one in fields(kind):
        hint = hints[one.name]
        if isinstance(hint, type) and issubclass(hint, Group):
            declarations[one.name] = None
            continue
        name, axes = f"{kind.__name__}.{one.name}", tuple(getattr(hint, "dim_str", "").split())
        if axes[:1] != (BATCH,) or not all(a.isdigit() or a.isidentifier() for a in axes):
            raise TypeError(f"{name} is declared as {hint}, not as an array whose axes have names")
        declarations[one.name] = Array(name, axes, one.metadata.get(_PADDING))
    return declarations


def _longest(lengths: Iterator[tuple[str, int]]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for axis, size in lengths:
        sizes[axis] = max(size, sizes.get(axis, 0))
    return sizes


def _padded(tensor: Tensor, declared: Array, sizes: Mapping[str, int]) -> Tensor:
    missing = [
        sizes.get(axis, size) - size for axis, size in zip(declared.axes, tensor.shape, strict=True)
    ]
    if min(missing) < 0:
        raise ValueError(f"{declared.name} of {tuple(tensor.shape)} is longer than {dict(sizes)}")
    if not any(missing):
        return tensor
    if declared.padding is None:
        raise TypeError(f"{declared.name} declares no padding")
    ends = [end for count in reversed(missing) for end in (0, count)]
    return functional.pad(tensor, ends, value=declared.padding)
