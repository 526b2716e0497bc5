"""FlashABB beside the package `flash-abb`, with random weights and with the published ones."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from itda.chem.literature import literature_placement
from itda.errors import DependencyError
from itda.language import Message
from itda.models.flashabb.config import FlashAbbConfig
from itda.models.flashabb.convert import CONFIG_FILE, CONVERTER, WEIGHTS_FILE
from itda.models.flashabb.features import AntibodyFeatures
from itda.models.flashabb.modeling import LDDT_BINS, FlashAbb
from itda.parity.harness import (
    Audit,
    Check,
    Sabotage,
    Suite,
    compare,
    perturbed,
    prehooked,
    random_tensor,
    taps,
)

HEAVY = (
    "EVQLLESGGEVKKPGASVKVSCRASGYTFRNYGLTWVRQAPGQGLEWMGWISAYNGNTNYAQKFQGRVTLTTDTSTSTAYMELRSLR"
    "SDDTAVYFCARDVPGHGAAFMDVWGTGTTVTVSS"
)
LIGHT = (
    "DIQLTQSPLSLPVTLGQPASISCRSSQSLEASDTNIYLSWFQQRPGQSPRRLIYKISNRDSGVPDRFSGSGSGTHFTLRISRVEADD"
    "VAVYYCMQGTHWPPAFGQGTKVDIK"
)

CHECKS = (
    Check("first representation", "", 1e-6, relative=True),
    Check("attention of the first block", "", 1e-5, relative=True),
    Check("norm with dropout correction", "", 1e-5, relative=True),
    Check("representation after the first block", "", 1e-5, relative=True),
    Check("representation after the last block", "", 1e-4, relative=True),
    Check("torsions", "sin, cos", 1e-3),
    Check("CA positions", "Å", 1e-2),
    Check("all atoms", "Å", 1e-2),
    Check("pLDDT", "0 to 1", 1e-3),
    Check("pLDDT logits", "", 1e-3, relative=True),
)

Case = tuple[tuple[str, str], ...]
CASES: Mapping[str, Case] = {
    "one antibody, 233 residues": ((HEAVY, LIGHT),),
    "X in both chains": ((HEAVY[:30] + "XX" + HEAVY[32:], LIGHT[:-1] + "X"),),
    "3 lengths in a batch": ((HEAVY, LIGHT), (HEAVY[:113], LIGHT[:107]), (HEAVY[:61], LIGHT[3:50])),
}


def random_suite() -> Suite[Case]:
    """Compare with random weights, which no norm or zero hides anything behind.

    Raises:
        DependencyError: `flash-abb` is not installed.
    """
    return _suite("random", random_weights=True)


def published_suite() -> Suite[Case]:
    """Compare with the published weights.

    Raises:
        DependencyError: `flash-abb` is not installed.
    """
    return _suite("published", random_weights=False)


def _suite(weights: str, *, random_weights: bool) -> Suite[Case]:
    reference = reference_model()
    if random_weights:
        with torch.no_grad():
            for name, parameter in reference.flabb.named_parameters():
                if not name.endswith("freqs"):
                    parameter.copy_(random_tensor(name, tuple(parameter.shape), scale=_scale(name)))
    state = {name: tensor.clone() for name, tensor in reference.flabb.state_dict().items()}
    document = published_sizes()
    network = our_model(state, document)
    whole = CASES["one antibody, 233 residues"]
    batch = CASES["3 lengths in a batch"]

    def weight(name: str) -> Sabotage[Case]:
        return Sabotage(
            f"weight perturbed: {name}", lambda: perturbed(network.get_parameter(name)), whole
        )

    def features(
        name: str, change: Callable[[AntibodyFeatures], AntibodyFeatures], case: Case
    ) -> Sabotage[Case]:
        return Sabotage(name, lambda: prehooked(network, lambda given: (change(*given),)), case)

    sabotages = (
        weight("embedding.weight"),
        weight("blocks.0.attention.scalars.weight"),
        weight("blocks.0.attention.points.bias"),
        weight("blocks.0.attention.point_weight"),
        weight("blocks.7.attention.project_out.weight"),
        weight("blocks.7.norm_transition.bias"),
        weight("blocks.3.transition.2.weight"),
        weight("blocks.5.update.bias"),
        weight("torsions.blocks.1.3.weight"),
        weight("lddt_head.3.weight"),
        Sabotage("no dropout correction", lambda: _uncorrected(network), whole),
        Sabotage("rotary pairs exchanged", lambda: _frequencies_reversed(network), whole),
        features(
            "heavy and light exchanged", lambda given: replace(given, heavy=~given.heavy), whole
        ),
        features(
            "light chain not moved to 500",
            lambda given: replace(given, position=given.position - 500 * (given.position >= 500)),
            whole,
        ),
        features(
            "two residues swapped",
            lambda given: replace(given, restype=_swapped(given.restype)),
            whole,
        ),
        features(
            "antibodies of a batch see each other",
            lambda given: replace(given, lengths=(sum(given.lengths),)),
            batch,
        ),
    )
    return Suite(
        family="flashabb",
        reference=f"flash-abb {metadata.version('flash-abb')}",
        weights=f"{weights} weights",
        checks=CHECKS,
        cases=CASES,
        theirs=lambda case: reference_values(reference, case),
        ours=lambda case: our_values(network, case),
        sabotages=sabotages,
        audit=lambda: _audit(reference, state, document),
    )


def reference_model() -> Any:
    """Load the reference as its authors do.

    Raises:
        DependencyError: `flash-abb` is not installed.
    """
    try:
        from flash_abb import pretrained
    except ImportError as error:
        raise DependencyError(
            Message("flash-abb cannot be imported: {error}", error=error),
            hint=Message("pip install 'itda[antibody]'"),
        ) from error
    return pretrained(device="cpu")


def published_sizes() -> Any:
    """Read `params.yaml` of the installed package."""
    import flash_abb

    folder = Path(str(flash_abb.__file__)).parent
    return yaml.safe_load((folder / "weights" / CONFIG_FILE).read_text(encoding="utf-8"))


def our_model(state: Mapping[str, Tensor], document: Mapping[str, Any]) -> FlashAbb:
    """Convert a published state and build our network."""
    converted = CONVERTER.convert({WEIGHTS_FILE: state}, {CONFIG_FILE: document})
    network = FlashAbb(FlashAbbConfig.model_validate(converted.config))
    network.load_state_dict(converted.tensors)
    return network.eval()


def reference_values(reference: Any, case: Case) -> dict[str, Tensor]:
    """Run the reference, which pads a batch, and give what is compared."""
    lengths = [len(heavy) + len(light) for heavy, light in case]
    model = reference.flabb.model
    taken: dict[str, Any] = {}
    watched = {
        "embedding": model.linear_in_node,
        "attention": model.ipa_layers[0],
        "norm": model.layer_norm_ipa_layers[0],
        "first": model.transition_layers[0],
    }
    with taps(taken, watched), torch.no_grad():
        output = reference([f"{heavy}|{light}" for heavy, light in case]).output

    def rows(padded: Tensor) -> Tensor:
        return torch.cat([padded[row, :length] for row, length in enumerate(lengths)])

    return _values(
        case,
        {name: rows(parts[0]) for name, parts in taken.items()},
        last=rows(output["single"]),
        torsions=rows(output["angles"][-1]),
        atoms=rows(output["positions"][-1]),
        logits=rows(output["plddt"]),
    )


def our_values(network: FlashAbb, case: Case) -> dict[str, Tensor]:
    """Run our network and give what is compared."""
    taken: dict[str, Any] = {}
    first: Any = network.blocks[0]
    watched = {"attention": first.attention, "norm": first.norm_attention, "first": first}
    with taps(taken, watched), torch.no_grad():
        features = AntibodyFeatures.from_sequences(case)
        output = network(features)
        # Not tapped: a sabotage of the inputs is to be seen in what the network makes of them.
        parts = {name: values[0] for name, values in taken.items()}
        parts["embedding"] = network.embed(features)
    return _values(
        case,
        parts,
        last=output.single,
        torsions=output.torsions,
        atoms=output.atoms,
        logits=output.lddt_logits,
    )


def _values(
    case: Case,
    parts: Mapping[str, Tensor],
    *,
    last: Tensor,
    torsions: Tensor,
    atoms: Tensor,
    logits: Tensor,
) -> dict[str, Tensor]:
    restype = AntibodyFeatures.from_sequences(case).restype
    exists = torch.from_numpy(literature_placement().atom14_mask)[restype]
    centres = (torch.arange(LDDT_BINS) + 0.5) / LDDT_BINS
    return {
        "first representation": parts["embedding"],
        "attention of the first block": parts["attention"],
        "norm with dropout correction": parts["norm"],
        "representation after the first block": parts["first"],
        "representation after the last block": last,
        "torsions": torsions,
        "CA positions": atoms[:, 1],
        "all atoms": atoms[exists],
        "pLDDT": torch.softmax(logits, dim=-1) @ centres,
        "pLDDT logits": logits,
    }


def _audit(reference: Any, state: Mapping[str, Tensor], document: Mapping[str, Any]) -> Audit:
    converted = CONVERTER.convert({WEIGHTS_FILE: state}, {CONFIG_FILE: document})
    case = CASES["one antibody, 233 residues"]
    before = reference_values(reference, case)
    tensors = reference.flabb.state_dict()
    change: dict[str, float] = {}
    for reason in dict.fromkeys(converted.unused.values()):
        with contextlib.ExitStack() as stack:
            for name, why in converted.unused.items():
                if why == reason:
                    stack.enter_context(perturbed(tensors[name]))
            rows = compare(CHECKS, "", reference_values(reference, case), before)
            change[reason] = max(row.difference / row.tolerance for row in rows)
    return Audit(len(tensors), len(tensors) - len(converted.unused), converted.unused, change)


def _scale(name: str) -> float:
    return 0.3 if "bb_update" in name else 1.0


def _swapped(restype: Tensor) -> Tensor:
    order = torch.arange(len(restype))
    order[[3, 40]] = order[[40, 3]]
    return restype[order]


@contextlib.contextmanager
def _uncorrected(network: FlashAbb) -> Iterator[None]:
    norms: list[Any] = [one for one in network.modules() if hasattr(one, "dropout")]
    kept = [norm.dropout for norm in norms]
    for norm in norms:
        norm.dropout = 0.0
    try:
        yield
    finally:
        for norm, dropout in zip(norms, kept, strict=True):
            norm.dropout = dropout


@contextlib.contextmanager
def _frequencies_reversed(network: FlashAbb) -> Iterator[None]:
    buffers = {name: b for name, b in network.named_buffers() if name.endswith("frequency")}
    kept = {name: buffer.clone() for name, buffer in buffers.items()}
    for name, buffer in buffers.items():
        buffer.copy_(kept[name].flip(0))
    try:
        yield
    finally:
        for name, buffer in buffers.items():
            buffer.copy_(kept[name])
