"""Parameters of a family's own, as a request has them."""

import dataclasses
import json
from typing import Annotated

import pytest
from pydantic import Field

from itda.models import registry
from itda.models.parameters import FamilyParameters
from itda.server.rest import catalogue
from itda.server.understand import understanding

from .house import FASTA


class Steps(FamilyParameters):
    """Of a family that diffuses."""

    steps: Annotated[int, Field(ge=1, le=1000)] = 200
    """Steps of diffusion."""


@pytest.fixture
def client(house, monkeypatch):
    """Of a server whose `mini` has a parameter, and `flashabb` has none."""
    families = {
        "mini": dataclasses.replace(registry.get_family("mini"), parameters=Steps),
        "flashabb": registry.get_family("flashabb"),
    }
    for module in (registry, understanding, catalogue):
        monkeypatch.setattr(module, "FAMILIES", dict.fromkeys(families, ""))
        monkeypatch.setattr(module, "get_family", families.__getitem__)
    return house.client(house.owner)


def test_models_tell_them(client) -> None:
    mini, flashabb = client.get("/api/v1/models").json()["models"]
    assert mini["parameters"]["steps"]["maximum"] == 1000
    assert mini["parameters"]["steps"]["description"] == "Steps of diffusion."
    assert flashabb["parameters"] == {}


@pytest.mark.parametrize("as_form", [False, True])
def test_they_reach_the_job(house, client, as_form) -> None:
    if as_form:
        form = {"input": FASTA, "parameters": json.dumps({"steps": 20})}
        files = [(name, (None, value)) for name, value in form.items()]
        answer = client.post("/api/v1/jobs", files=files)
    else:
        answer = client.post("/api/v1/jobs", json={"input": FASTA, "parameters": {"steps": 20}})
    assert answer.status_code in (200, 201, 202), answer.text
    assert house.claim().job.settings == {"parameters": {"steps": 20}}


@pytest.mark.parametrize(
    ("family", "parameters", "said"),
    [
        ("mini", {"step": 5}, "'step': mini has no such parameter; it has steps"),
        ("mini", {"steps": 0}, "steps: must be greater than or equal to 1, not 0"),
        ("flashabb", {"steps": 5}, "'steps': flashabb has none of its own"),
    ],
)
def test_what_the_family_does_not_take_is_refused(
    client, monkeypatch, family, parameters, said
) -> None:
    states = dict.fromkeys(("mini", "flashabb"), "built in")
    monkeypatch.setattr(understanding.Understanding, "family_states", lambda _: states)
    asked = {"input": FASTA, "family": family, "parameters": parameters}
    (problem,) = client.post("/api/v1/plan", json=asked).json()["problems"]
    assert said in problem["problem"] and "--" not in problem["problem"] + problem["hint"]


@pytest.mark.parametrize("text", ["{", "[1]", "steps=5", '{"steps": {"a": 1}}'])
def test_a_form_with_anything_else_is_refused_by_its_field(client, text) -> None:
    files = [("input", (None, FASTA)), ("parameters", (None, text))]
    answer = client.post("/api/v1/jobs", files=files)
    assert answer.status_code == 422 and "parameters" in answer.text
