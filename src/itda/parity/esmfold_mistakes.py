"""Mistakes that the comparison of ESMFold must notice, each made while a block is entered."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from itda.chem.residues import RESTYPE_INDEX
from itda.models.esmfold.modeling import EsmFold
from itda.parity.harness import prehooked


@contextlib.contextmanager
def updates_exchanged(network: EsmFold) -> Iterator[None]:
    """Exchange the outgoing and incoming updates of a block."""
    block: Any = network.get_submodule("blocks.1")
    block.outgoing, block.incoming = block.incoming, block.outgoing
    try:
        yield
    finally:
        block.outgoing, block.incoming = block.incoming, block.outgoing


@contextlib.contextmanager
def edges_exchanged(network: EsmFold) -> Iterator[None]:
    """Exchange the projections a and b of a triangle multiplication, which have the same shape."""
    layers = [network.get_submodule(f"blocks.1.outgoing.{name}") for name in ("project", "gate")]
    tensors = [tensor for layer in layers for tensor in layer.parameters()]
    with torch.no_grad():
        for tensor in tensors:
            tensor.copy_(tensor.roll(len(tensor) // 2, 0))
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor in tensors:
                tensor.copy_(tensor.roll(len(tensor) // 2, 0))


@contextlib.contextmanager
def residue_types_swapped(embedding: nn.Embedding) -> Iterator[None]:
    """Swap two rows of the embedding of residue types."""
    order = torch.arange(embedding.num_embeddings)
    first, second = (RESTYPE_INDEX[letter] for letter in "QI")
    order[[first, second]] = order[[second, first]]
    kept = embedding.weight.detach().clone()
    with torch.no_grad():
        embedding.weight.copy_(kept[order])
    try:
        yield
    finally:
        with torch.no_grad():
            embedding.weight.copy_(kept)


@contextlib.contextmanager
def frequencies_by_formula(network: EsmFold) -> Iterator[None]:
    """Take the rotary frequencies by their formula, not from the weights."""
    buffer = network.language_model.inverse_frequency
    kept = buffer.clone()
    buffer.copy_(10000.0 ** -(torch.arange(len(kept)) / len(kept)))
    try:
        yield
    finally:
        buffer.copy_(kept)


def chains_without_gap(network: EsmFold) -> AbstractContextManager[None]:
    """Number residues through, without the gap between chains."""

    def contiguous(arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        restype, index, *others = arguments
        return (restype, torch.arange(index.shape[1]).expand_as(index), *others)

    return prehooked(network, contiguous)


def padding_unmasked(network: EsmFold) -> AbstractContextManager[None]:
    """Let the first block see padding."""

    def open_all(arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        single, pair, mask = arguments
        return single, pair, torch.ones_like(mask)

    return prehooked(network.blocks[0], open_all)


@contextlib.contextmanager
def mask_inverted(network: EsmFold) -> Iterator[None]:
    """Invert the mask of a triangle attention."""
    starting: Any = network.get_submodule("blocks.0.starting")
    add_to = starting.add_to
    starting.add_to = lambda pair, mask: add_to(pair, ~mask)
    try:
        yield
    finally:
        del starting.add_to
