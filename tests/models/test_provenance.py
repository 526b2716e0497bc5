"""What a result says of its weights: their set, where they came from, what may be done with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from itda.chem.component_file import ComponentFile
from itda.hub import licence, registry
from itda.hub.licence import acknowledge
from itda.hub.registry import WeightSet, get_weight_set
from itda.hub.source import built_in_folder
from itda.hub.weights import SourceRecord, WeightsCard, read_card
from itda.models import provenance
from itda.models.provenance import kernels_of, provenance_of
from itda.ops.routing import Route
from itda.structure.prediction import Provenance


def _card(**fields: Any) -> WeightsCard:
    base = {"family": "flashabb", "name": "x", "sha256": "a" * 64, "licence": "MIT", "config": {}}
    return WeightsCard.model_validate({**base, **fields})


def _provenance(card: WeightsCard, **fields: Any) -> Provenance:
    given: dict[str, Any] = {
        "seed": 3, "recycles": 2, "inputs": {"sequence": "sha256:1"}, "device": "cpu",
        "kernels": {"attention": "sdpa"}, "dtype": "float32",
    }  # fmt: skip
    return provenance_of(card, **{**given, **fields})


@pytest.fixture
def restricted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> WeightSet:
    """A set whose licence forbids commercial use, for a user who acknowledged nothing."""
    monkeypatch.setenv("ITDA_HOME", str(tmp_path))
    plain = get_weight_set("flashabb")
    made = plain.model_copy(
        update={
            "name": "lab",
            "licence": plain.licence.model_copy(
                update={"spdx": "CC-BY-NC-4.0", "non_commercial": True}
            ),
        }
    )
    sets = {**registry.weight_sets(), "lab": made}
    for module in (registry, provenance):
        monkeypatch.setattr(module, "weight_sets", lambda: sets)
    return made


def _of(name: str) -> SourceRecord:
    return SourceRecord(name=name, origin="flash-abb 0.0.5", files={"a.pt": "b" * 64})


def test_converted_weights_name_their_set_and_where_it_came_from() -> None:
    made = _provenance(_card(source=_of("flashabb"), converter=1, licence="BSD-3-Clause"))
    assert (made.family, made.weights_set) == ("flashabb", "flashabb")
    assert made.weights_source == "flash-abb 0.0.5"
    assert made.weights_digest == f"sha256:{'a' * 64}"
    assert (made.weights_licence, made.non_commercial) == ("BSD-3-Clause", False)
    assert made.licence_acknowledged is None
    assert made.citations == get_weight_set("flashabb").citations
    assert made.terms == "Weights flashabb are licensed under BSD-3-Clause."


def test_weights_that_come_with_itda_are_known_by_their_digest() -> None:
    source = get_weight_set("mini").source
    assert isinstance(source, registry.BuiltIn)
    card = read_card(built_in_folder(source) / "mini.safetensors")
    made = _provenance(card)
    assert (made.weights_set, made.weights_source) == ("mini", "built in")
    own = _provenance(card.model_copy(update={"sha256": "0" * 64}))
    assert (own.weights_set, own.weights_source) == (None, provenance.OWN_FILE)
    assert own.citations == ()


def test_restricted_weights_say_so_and_when_it_was_acknowledged(restricted: WeightSet) -> None:
    card = _card(source=_of("lab"), converter=1, licence="CC-BY-NC-4.0")
    before = _provenance(card)
    assert before.non_commercial and before.licence_acknowledged is None
    entry = acknowledge(restricted)
    assert licence.acknowledged(restricted) == entry
    after = _provenance(card)
    assert after.licence_acknowledged == entry.date
    assert "CC-BY-NC-4.0, which forbids commercial use" in after.terms


def test_a_file_of_the_user_s_own_is_judged_by_its_card() -> None:
    made = _provenance(_card(licence="CC-BY-NC-4.0"))
    assert (made.weights_set, made.non_commercial) == (None, True)
    assert made.terms.startswith("The model weights are licensed under CC-BY-NC-4.0, which")


def test_number_formats_of_parts_survive_json() -> None:
    made = _provenance(_card(), dtype={"language_model": "bfloat16", "trunk": "float32"})
    assert made.dtype == {"language_model": "bfloat16", "trunk": "float32"}
    assert Provenance.from_dict(made.to_dict()) == made
    assert set(made.versions) == set(provenance.LIBRARIES)


def test_kernels_are_those_of_the_device(monkeypatch):
    lines = (Route("triton", True, device="cuda"), Route("reference", True))
    monkeypatch.setattr("itda.ops.routing._TABLE", {"attention": lines})
    assert kernels_of("cuda:1", {"attention": 32}) == {"attention": "triton"}
    assert kernels_of("cpu", {"attention": 32}) == {"attention": "reference"}


def test_the_users_own_component_dictionary_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "components_in_use", lambda: None)
    assert provenance.COMPONENTS not in _provenance(_card()).versions
    own = ComponentFile(Path("x"), "2026-11-28", 3, "c" * 64, "", "", "")
    monkeypatch.setattr(provenance, "components_in_use", lambda: own)
    made = _provenance(_card()).versions[provenance.COMPONENTS]
    assert made == f"2026-11-28, sha256:{'c' * 64}"
