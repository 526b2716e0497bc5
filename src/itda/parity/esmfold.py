"""ESMFold beside `EsmForProteinFolding` of `transformers`, with random weights."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from itda.chem.literature import literature_placement
from itda.chem.residues import RESTYPE_INDEX, UNKNOWN_INDEX
from itda.errors import DependencyError
from itda.language import Message
from itda.models.esmfold.config import EsmFoldConfig
from itda.models.esmfold.convert import CONFIG_FILE, CONVERTER, LAYER_PREFIX, WEIGHTS_FILE
from itda.models.esmfold.features import encode_chains
from itda.models.esmfold.language_model import EsmLayer
from itda.models.esmfold.modeling import PAE_BIN_ANGSTROM, EsmFold
from itda.nn.rows import map_rows
from itda.parity.esmfold_mistakes import (
    chains_without_gap,
    edges_exchanged,
    frequencies_by_formula,
    mask_inverted,
    padding_unmasked,
    residue_types_swapped,
    updates_exchanged,
)
from itda.parity.harness import (
    Audit,
    Check,
    Sabotage,
    Suite,
    compare,
    perturbed,
    random_tensor,
    taps,
)

UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"

SMALL: dict[str, Any] = {
    "vocab_size": 33,
    "mask_token_id": 32,
    "pad_token_id": 1,
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 80,
    "layer_norm_eps": 1e-5,
    "position_embedding_type": "rotary",
    "token_dropout": True,
    "emb_layer_norm_before": False,
    "is_folding_model": True,
    "esmfold_config": {
        "fp16_esm": False,
        "lddt_head_hid_dim": 24,
        "trunk": {
            "num_blocks": 3,
            "sequence_state_dim": 64,
            "pairwise_state_dim": 32,
            "sequence_head_width": 16,
            "pairwise_head_width": 8,
            "chunk_size": None,
            "structure_module": {"sequence_dim": 40, "pairwise_dim": 32, "num_blocks": 3},
        },
    },
}
"""Sizes that differ wherever two could be confused."""

FULL: dict[str, Any] = {
    **SMALL,
    "hidden_size": 2560,
    "num_hidden_layers": 36,
    "num_attention_heads": 40,
    "intermediate_size": 10240,
    "esmfold_config": {"fp16_esm": False, "trunk": {"chunk_size": None}},
}
"""The sizes of `facebook/esmfold_v1`."""

CHECKS = (
    Check("first single", "", 1e-5, relative=True),
    Check("single after the first block", "", 1e-5, relative=True),
    Check("pair after the first block", "", 1e-5, relative=True),
    Check("single after the last block", "", 1e-4, relative=True),
    Check("pair after the last block", "", 1e-4, relative=True),
    Check("states of the structure module", "", 1e-4, relative=True),
    Check("CA positions", "Å", 1e-3),
    Check("all atoms", "Å", 1e-3),
    Check("pLDDT of each atom", "0 to 1", 1e-4),
    Check("PAE", "Å", 1e-4),
    Check("pTM", "0 to 1", 1e-4),
    Check("distogram probabilities", "0 to 1", 1e-4),
)


@dataclass(frozen=True)
class Case:
    """An input.

    Attributes:
        jobs: Sequences of the chains of each item of a batch.
        recycles: Passes of the trunk beyond the first.
    """

    jobs: tuple[tuple[str, ...], ...]
    recycles: int = 1

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Give restype, residue_index and mask, padded at the end."""
        encoded = [encode_chains(chains) for chains in self.jobs]
        longest = max(len(one.restype) for one in encoded)
        restype, index = (torch.zeros(len(encoded), longest, dtype=torch.long) for _ in range(2))
        mask = torch.zeros(len(encoded), longest, dtype=torch.bool)
        for row, one in enumerate(encoded):
            length = len(one.restype)
            restype[row, :length] = torch.from_numpy(one.restype)
            index[row, :length] = torch.from_numpy(one.residue_index)
            mask[row, :length] = True
        return restype, index, mask


CASES: Mapping[str, Case] = {
    "17 residues": Case(((UBIQUITIN[:17],),)),
    "ubiquitin, 76 residues, no recycle": Case(((UBIQUITIN,),), recycles=0),
    "2 chains, 13 and 22 residues": Case(((UBIQUITIN[:13], UBIQUITIN[20:42]),)),
    "X and 3 lengths in a batch": Case(
        ((UBIQUITIN[:31],), (UBIQUITIN[5:14] + "XX" + UBIQUITIN[30:38],), (UBIQUITIN[40:47],))
    ),
}


def reference_model(config: Mapping[str, Any]) -> nn.Module:
    """Build the reference with random weights.

    Raises:
        DependencyError: `transformers` is not installed.
    """
    model = _empty_reference(config)
    state = random_state(model)
    model.to_empty(device="cpu")
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            tensor.copy_(state[name])
        positions = model.esm.embeddings.position_ids
        positions.copy_(torch.arange(positions.shape[-1]).expand_as(positions))
    module: nn.Module = model.eval()
    return module


def _empty_reference(config: Mapping[str, Any]) -> Any:
    try:
        from transformers import EsmConfig, EsmForProteinFolding
        from transformers.utils import logging
    except ImportError as error:
        raise DependencyError(
            Message("transformers cannot be imported: {error}", error=error),
            hint=Message("pip install 'itda[parity]'"),
        ) from error
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    with torch.device("meta"):
        return EsmForProteinFolding(EsmConfig(**config))


def random_state(model: nn.Module) -> Mapping[str, Tensor]:
    """Give a state as it would be published, each tensor made when it is asked for."""
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    config: Any = model.config
    return _RandomState(shapes, config.vocab_list)


class _RandomState(Mapping[str, Tensor]):
    def __init__(self, shapes: Mapping[str, tuple[int, ...]], vocabulary: Any) -> None:
        self.shapes = shapes
        self.vocabulary = vocabulary

    def __getitem__(self, name: str) -> Tensor:
        shape = self.shapes[name]
        if name == "af2_to_esm":
            return torch.tensor([1, *(self.vocabulary.index(letter) for letter in RESTYPE_INDEX)])
        if name.endswith("inv_freq"):
            half = shape[0]
            # Rounded, as in the published file: a side that computes them anew is noticed.
            return (10000.0 ** -(torch.arange(half) / half)).half().float()
        if name.endswith("position_ids"):
            return torch.arange(shape[-1]).expand(shape)
        values = random_tensor(name, shape, scale=_scale(name))
        # The published language model is in half precision.
        return values.half() if name.startswith("esm.") else values

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)


def _scale(name: str) -> float:
    """Keep residual branches small, so that 48 blocks end in numbers that a float can hold."""
    residual = ("o_proj", "linear_o", "linear_z", "mlp.3", "output.dense", "linear_2", "linear_3")
    if "_points" in name:
        # Points far apart, so that their distances count in attention.
        return 5.0
    return 0.3 if any(part in name for part in residual) else 1.0


def published(config: Mapping[str, Any]) -> tuple[Mapping[str, Tensor], dict[str, Any]]:
    """Give random weights and their sizes as they would be published."""
    model = _empty_reference(config)
    return random_state(model), model.config.to_dict()


def our_model(
    state: Mapping[str, Tensor], document: Mapping[str, Any]
) -> tuple[EsmFold, nn.ModuleList]:
    """Convert a published state and build our network and the layers of its language model."""
    converted = CONVERTER.convert({WEIGHTS_FILE: state}, {CONFIG_FILE: document})
    config = EsmFoldConfig.model_validate(converted.config)
    network = EsmFold(config)
    layers = nn.ModuleList(EsmLayer(config) for _ in range(config.language_layers))
    ours = {name: tensor.float() for name, tensor in converted.tensors.items()}
    of_layers = {
        name.removeprefix(LAYER_PREFIX): ours.pop(name)
        for name in list(ours)
        if name.startswith(LAYER_PREFIX)
    }
    layers.load_state_dict(of_layers)
    network.load_state_dict(ours)
    return network.eval(), layers.eval()


def reference_values(model: nn.Module, case: Case) -> dict[str, Tensor]:
    """Run the reference and give what is compared, at the places of residues."""
    restype, index, mask = case.tensors()
    taken: dict[str, Any] = {}
    blocks = model.get_submodule("trunk.blocks")
    assert isinstance(blocks, nn.ModuleList)
    with taps(taken, {"first": blocks[0], "last": blocks[-1]}), torch.no_grad():
        embedded: list[Tensor] = []
        handle = model.get_submodule("trunk").register_forward_pre_hook(
            lambda _module, arguments: embedded.append(arguments[0].clone())
        )
        output = model(restype, mask.long(), position_ids=index, num_recycles=case.recycles)
        handle.remove()
    return _values(
        restype,
        mask,
        first_single=embedded[0],
        taken=taken,
        states=output.states[-1],
        atoms=output.positions[-1],
        lddt=output.plddt,
        pae=output.predicted_aligned_error,
        ptm=output.ptm,
        distogram=output.distogram_logits,
    )


def our_values(network: EsmFold, layers: Iterable[nn.Module], case: Case) -> dict[str, Tensor]:
    """Run our network and give what is compared, at the places of residues."""
    restype, index, mask = case.tensors()
    taken: dict[str, Any] = {}
    modules = {
        "first": network.blocks[0],
        "last": network.blocks[-1],
        "from language": network.from_language,
        "restype": network.restype,
    }
    with taps(taken, modules), torch.no_grad():
        output = network(restype, index, mask, layers, recycles=case.recycles)
        probabilities = torch.softmax(map_rows(output.pair, network.pae_logits), -1)
        centres = (torch.arange(probabilities.shape[-1]) + 0.5) * PAE_BIN_ANGSTROM
        tokens = mask.shape[1]
        scale = 1.24 * (max(tokens, 19) - 15) ** (1 / 3) - 1.8
        ptm = (probabilities @ (1 / (1 + (centres / scale) ** 2))).mean(-1).amax()
        return _values(
            restype,
            mask,
            first_single=taken["from language"][0] + taken["restype"][0],
            taken=taken,
            states=output.structure.single,
            atoms=output.atoms,
            lddt=output.lddt,
            pae=probabilities @ centres,
            ptm=ptm,
            distogram=network.distogram_logits(output.pair),
        )


def _values(
    restype: Tensor,
    mask: Tensor,
    *,
    first_single: Tensor,
    taken: Mapping[str, tuple[Tensor, Tensor]],
    states: Tensor,
    atoms: Tensor,
    lddt: Tensor,
    pae: Tensor,
    ptm: Tensor,
    distogram: Tensor,
) -> dict[str, Tensor]:
    pairs = mask[:, :, None] & mask[:, None, :]
    # The reference counts padding in pTM; it is compared where there is none.
    whole = bool(mask.all())
    # The reference builds no atoms for X.
    known = mask & (restype < UNKNOWN_INDEX)
    exists = torch.from_numpy(literature_placement().atom14_mask)
    return {
        "first single": first_single[mask],
        "single after the first block": taken["first"][0][mask],
        "pair after the first block": taken["first"][1][pairs],
        "single after the last block": taken["last"][0][mask],
        "pair after the last block": taken["last"][1][pairs],
        "states of the structure module": states[mask],
        "CA positions": atoms[known][:, 1],
        "all atoms": atoms[known][exists[restype[known]]],
        "pLDDT of each atom": lddt[mask],
        "PAE": pae[pairs],
        "pTM": ptm.reshape(-1) if whole else torch.zeros(1),
        "distogram probabilities": torch.softmax(distogram, -1)[pairs],
    }


def suite() -> Suite[Case]:
    """Compare at small sizes.

    Raises:
        DependencyError: `transformers` is not installed.
    """
    from importlib import metadata

    model = reference_model(SMALL)
    state, document = published(SMALL)
    network, layers = our_model(state, document)
    first = CASES["17 residues"]
    chains = CASES["2 chains, 13 and 22 residues"]
    batch = CASES["X and 3 lengths in a batch"]

    def weight(name: str, module: nn.Module) -> Sabotage[Case]:
        return Sabotage(
            f"weight perturbed: {name}", lambda: perturbed(module.get_parameter(name)), first
        )

    sabotages = (
        weight("0.project.weight", layers),
        weight(f"{len(layers) - 1}.down.bias", layers),
        weight("state_share", network),
        weight("blocks.0.single_to_pair.project_out.weight", network),
        weight("blocks.0.outgoing.gate.bias", network),
        weight("blocks.1.starting.bias.weight", network),
        weight("blocks.2.ending.project_out.weight", network),
        weight("blocks.2.pair_transition.up.weight", network),
        weight("recycled_distance.weight", network),
        weight("structure.attention.point_weight", network),
        weight("structure.torsions.blocks.1.3.weight", network),
        weight("lddt_head.1.weight", network),
        weight("pae_head.weight", network),
        weight("distogram_head.weight", network),
        Sabotage("incoming and outgoing exchanged", lambda: updates_exchanged(network), first),
        Sabotage("left and right edges exchanged", lambda: edges_exchanged(network), first),
        Sabotage(
            "two rows of the residue types swapped",
            lambda: residue_types_swapped(network.restype),
            first,
        ),
        Sabotage("rotary frequencies by formula", lambda: frequencies_by_formula(network), first),
        Sabotage("no gap between chains", lambda: chains_without_gap(network), chains),
        Sabotage("mask inverted in triangle attention", lambda: mask_inverted(network), batch),
        Sabotage("padding not masked", lambda: padding_unmasked(network), batch),
    )
    return Suite(
        family="esmfold",
        reference=f"transformers {metadata.version('transformers')}, EsmForProteinFolding",
        weights="random, small sizes",
        checks=CHECKS,
        cases=CASES,
        theirs=lambda case: reference_values(model, case),
        ours=lambda case: our_values(network, layers, case),
        sabotages=sabotages,
        audit=lambda: _audit(model, state, document),
    )


def full_size_side(side: str, weights: Path) -> Callable[[Case], dict[str, Tensor]]:
    """Load one side at full size.

    Args:
        side: `reference`, `float32`, or `auto` for what a user gets.
        weights: Our converted weights.
    """
    if side == "reference":
        model = reference_model(FULL)
        return lambda case: reference_values(model, case)
    from itda.hub.weights import read_card
    from itda.models.esmfold.loading import load_network

    network, layers = load_network(
        weights,
        read_card(weights),
        "cpu",
        language_dtype=torch.float32 if side == "float32" else None,
    )
    return lambda case: our_values(network, layers, case)


def _audit(model: nn.Module, state: Mapping[str, Tensor], document: Mapping[str, Any]) -> Audit:
    converted = CONVERTER.convert({WEIGHTS_FILE: state}, {CONFIG_FILE: document})
    case = CASES["17 residues"]
    before = reference_values(model, case)
    change: dict[str, float] = {}
    tensors = model.state_dict()
    for reason in dict.fromkeys(converted.unused.values()):
        names = [name for name, why in converted.unused.items() if why == reason]
        if names == ["af2_to_esm"]:
            # An order, not a number: ours is made of the vocabulary and compared by every check.
            change[reason] = 0.0
            continue
        with contextlib.ExitStack() as stack:
            for name in names:
                stack.enter_context(perturbed(tensors[name]))
            rows = compare(CHECKS, "", reference_values(model, case), before)
            change[reason] = max(row.difference / row.tolerance for row in rows)
    return Audit(len(tensors), len(tensors) - len(converted.unused), converted.unused, change)
