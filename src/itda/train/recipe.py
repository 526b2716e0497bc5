"""Recipes: everything that decides a training run, in one file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    Field,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from itda.errors import DataError
from itda.language import Message
from itda.train.stage import RecipePart, Stage
from itda.train.trainable import DEFAULT_FAMILY, TRAINABLES, AnyTrainable, get_trainable

RECIPE_VERSION = 1


class DataRecipe(RecipePart):
    """Which chains, and how they are drawn.

    Attributes:
        datasets: Folders below the data folder.
        split: Folder of the split below the data folder.
        all_atom_fraction: Share of examples drawn from chains with side chains.
        profile_probability: Share of examples that see their profile as an input.
        min_length: Shortest chain used, residues.
        templates: Table of templates below the data folder; None trains without.
        template_database: The dataset that the table's templates are taken from.
        template_probability: Share of examples that are offered templates.
        template_identity_limits: One is drawn for each; only templates below it are offered.
        most_templates: Of one example.
    """

    datasets: tuple[str, ...]
    split: str
    all_atom_fraction: float = Field(0.2, ge=0, le=1)
    profile_probability: float = Field(0.5, ge=0, le=1)
    min_length: int = Field(20, ge=4)
    templates: str | None = None
    template_database: str | None = None
    template_probability: float = Field(0.6, ge=0, le=1)
    template_identity_limits: tuple[float, ...] = (0.3, 0.4, 0.6, 1.01)
    most_templates: int = Field(4, ge=1, le=4)

    @model_validator(mode="after")
    def _check_templates(self) -> Self:
        if (self.templates is None) != (self.template_database is None):
            raise ValueError("templates and template_database go together")
        return self


class Schedule(RecipePart):
    """Learning rate over the whole run: linear warm-up, constant, cosine to zero.

    Attributes:
        peak: Highest learning rate.
        warmup: Steps from zero to the peak.
        decay_fraction: Share of all steps, at the end, over which it falls to zero.
        clip: Largest norm of the gradient of a batch.
        weight_decay: Of AdamW, on matrices only.
    """

    peak: float = Field(gt=0)
    warmup: int = Field(ge=0)
    decay_fraction: float = Field(1.0, ge=0, le=1)
    clip: float = Field(1.0, gt=0)
    weight_decay: float = Field(0.0, ge=0)


class Recipe(RecipePart):
    """A whole training run.

    Attributes:
        version: Of this format.
        family: Which is trained.
        name: Of the model that comes out.
        seed: Of every random draw.
        initial_weights: Weights to go on from: `mini` for those that come with Itda, or a file
            below the data folder; tensors that they lack start anew. None starts all anew.
        model: Sizes of the network; those of `initial_weights` where it is left out.
        data: Which chains.
        schedule: Learning rate.
        stages: One after another.
        precision: `bf16-mixed` or `32-true`.
        ema_decay: Of the averaged weights, which are what is kept.
        compile: Whether `torch.compile` is used.
        workers: Processes that prepare batches; 0 prepares them in the training process.
        validate_every: Steps between evaluations on validation chains.
        validation_chains: How many.
    """

    version: Literal[1]
    family: str = DEFAULT_FAMILY
    name: str
    seed: int = 0
    initial_weights: str | None = None
    model: SerializeAsAny[BaseModel] | None = None
    data: DataRecipe
    schedule: Schedule
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    precision: Literal["bf16-mixed", "32-true"] = "bf16-mixed"
    ema_decay: float = Field(0.999, gt=0, lt=1)
    compile: bool = False
    workers: int = Field(0, ge=0)
    validate_every: int = Field(500, gt=0)
    validation_chains: int = Field(50, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _weigh_losses(cls, given: Any) -> Any:
        """Give stages that weigh no losses the weights of the family."""
        if not isinstance(given, Mapping) or not isinstance(given.get("stages"), list | tuple):
            return given
        family = given.get("family", DEFAULT_FAMILY)
        if not isinstance(family, str) or family not in TRAINABLES:
            return given
        losses = dict(get_trainable(family).loss_weights)
        stages = [
            {"losses": losses, **stage} if isinstance(stage, Mapping) else stage
            for stage in given["stages"]
        ]
        return {**given, "stages": stages}

    @field_validator("family")
    @classmethod
    def _check_family(cls, value: str) -> str:
        if value not in TRAINABLES:
            raise ValueError(f"{value!r} cannot be trained; known: {', '.join(TRAINABLES)}")
        return value

    @field_validator("model", mode="before")
    @classmethod
    def _read_sizes(cls, given: Any, info: ValidationInfo) -> Any:
        if given is None or isinstance(given, BaseModel):
            return given
        sizes = get_trainable(info.data.get("family", DEFAULT_FAMILY)).sizes
        try:
            return sizes.model_validate(given)
        except ValidationError as error:
            raise ValueError(_first_problem(error)) from error

    @model_validator(mode="after")
    def _check_losses(self) -> Self:
        known = self.trainable.loss_names
        for number, stage in enumerate(self.stages):
            for name in sorted(set(stage.losses) - set(known)):
                raise ValueError(
                    f"stages.{number}.losses: unknown loss {name!r}; known: {', '.join(known)}"
                )
        return self

    @property
    def trainable(self) -> AnyTrainable:
        """What trains the family."""
        return get_trainable(self.family)

    @property
    def total_steps(self) -> int:
        """Optimiser steps of all stages."""
        return sum(stage.steps for stage in self.stages)

    @property
    def digest(self) -> str:
        """SHA-256 of what the recipe says; equal recipes have equal digests."""
        # A recipe from before there was a choice is the same recipe.
        unsaid = {"family"} if self.family == DEFAULT_FAMILY else None
        text = json.dumps(self.model_dump(mode="json", exclude=unsaid), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def stage_at(self, step: int) -> Stage:
        """Give the stage that a step, counted from 0, belongs to."""
        for stage in self.stages:
            if step < stage.steps:
                return stage
            step -= stage.steps
        raise IndexError(f"the recipe has {self.total_steps} steps")


def read_recipe(source: str | Path) -> Recipe:
    """Read a recipe from a file, or one that comes with Itda by its name.

    Args:
        source: A path, or `mini.yaml` or `mini-cpu.yaml`.

    Raises:
        DataError: It is missing or breaks the format.
    """
    path = Path(source)
    packaged = resources.files("itda.train").joinpath("recipes", path.name)
    if path.is_file():
        text = path.read_text(encoding="utf-8")
    elif path.name == str(source) and packaged.is_file():
        text = packaged.read_text(encoding="utf-8")
    else:
        raise DataError(
            Message("there is no recipe {source}", source=source),
            hint=Message("give a file, or mini.yaml or mini-cpu.yaml"),
        )
    try:
        return Recipe.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise DataError(
            Message("{source} is not YAML: {error}", source=source, error=error)
        ) from error
    except ValidationError as error:
        raise DataError(
            Message("{source}: {error}", source=source, error=_first_problem(error))
        ) from error


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]
