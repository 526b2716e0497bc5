"""What `itda train` asks of a family: features, targets, losses, groups of parameters."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from itda.errors import DataError
from itda.language import Message
from itda.train.batch import Batch, Crop, FeaturesType, TargetsType

if TYPE_CHECKING:
    from jaxtyping import Float
    from pydantic import BaseModel
    from torch import Tensor, nn

    from itda.models.family import Family
    from itda.train.stage import Stage

NetworkType = TypeVar("NetworkType", bound="nn.Module")

DEFAULT_FAMILY = "mini"

TRAINABLES: dict[str, str] = {"mini": "itda.train.families.mini:TRAINABLE"}
"""Name of each family that can be trained, and the module and variable where it stands."""


class Trainable(Protocol[NetworkType, FeaturesType, TargetsType]):
    """A family that can be trained: all that the loop, the data and a recipe do not know of it."""

    @property
    def family(self) -> Family:
        """Whose weights come out."""
        ...

    @property
    def sizes(self) -> type[BaseModel]:
        """What `model` in a recipe says, and the card of the weights."""
        ...

    @property
    def loss_names(self) -> tuple[str, ...]:
        """Losses that a recipe can weigh."""
        ...

    @property
    def loss_weights(self) -> Mapping[str, float]:
        """Their weights in a stage that says none."""
        ...

    def network(self, sizes: Any) -> NetworkType:
        """Make a network that knows nothing yet.

        Args:
            sizes: Of the class `sizes`.
        """
        ...

    def features(self, crops: Sequence[Crop]) -> FeaturesType:
        """Make what the network is given, padded to the longest crop."""
        ...

    def targets(self, crops: Sequence[Crop]) -> TargetsType:
        """Make what its output is compared with."""
        ...

    def losses(
        self,
        network: NetworkType,
        batch: Batch[FeaturesType, TargetsType],
        stage: Stage,
        *,
        recycles: int,
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Run the network.

        Args:
            network: In training mode.
            batch: Of `features` and `targets`, on its device.
            stage: Weights of the losses by name; one that is absent or 0 need not be computed.
            recycles: Passes beyond the first.

        Returns:
            The sum, and the mean of each loss over the batch before weighing.
        """
        ...

    def fold(self, network: NetworkType, features: FeaturesType) -> Float[Tensor, "batch token 3"]:
        """Give CA positions in angstrom, to watch how well the network does."""
        ...

    def parameter_groups(
        self, network: NetworkType, *, weight_decay: float
    ) -> list[dict[str, Any]]:
        """Share the parameters out, as an optimiser takes them."""
        ...

    def compiled(self, network: NetworkType) -> Iterable[nn.Module]:
        """Name the modules that `torch.compile` is worth its time for."""
        ...


AnyTrainable = Trainable[Any, Any, Any]


def get_trainable(family: str) -> AnyTrainable:
    """Import what trains a family.

    Raises:
        DataError: The family cannot be trained.
    """
    target = TRAINABLES.get(family)
    if target is None:
        raise DataError(
            Message("family: {family!r} cannot be trained", family=family),
            hint=Message("known: {trainables:,}", trainables=TRAINABLES),
        )
    module, _, variable = target.partition(":")
    trainable: AnyTrainable = getattr(importlib.import_module(module), variable)
    return trainable


def make_batch(
    crops: Sequence[Crop], trainable: Trainable[NetworkType, FeaturesType, TargetsType]
) -> Batch[FeaturesType, TargetsType]:
    """Make features and targets of at least one crop."""
    return Batch(trainable.features(crops), trainable.targets(crops))


def matrices_decay(network: nn.Module, *, weight_decay: float) -> list[dict[str, Any]]:
    """Put matrices into a group that decays, and vectors into one that does not."""
    matrices = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
