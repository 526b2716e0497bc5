"""The OpenAPI document is complete."""

from __future__ import annotations

import pytest

from .house import make_house


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    from itda.server.database import migrate
    from itda.server.database.database import Database

    folder = tmp_path_factory.mktemp("document")
    database = Database(f"sqlite:///{folder / 'itda.db'}")
    migrate.upgrade(database)
    house = make_house(database, folder / "home")
    yield house.client(None).get("/api/v1/openapi.json").json()
    database.close()


def operations(document):
    return [
        (f"{method.upper()} {path}", operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def test_every_operation_says_what_it_does_and_who_may(document):
    known = {tag["name"] for tag in document["tags"]}
    for name, operation in operations(document):
        assert operation["summary"] and operation["description"], name
        assert set(operation["tags"]) <= known, name
        assert {"token": []} in operation["security"], name
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description") or parameter["in"] == "cookie", (name, parameter)


def test_every_refusal_is_a_problem(document):
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            if int(status) >= 400 and status != "416":
                (media_type,) = response["content"]
                assert media_type == "application/problem+json", (name, status)
        assert {"400", "401", "403", "422", "429"} <= set(operation["responses"]), name


def test_every_reference_leads_somewhere(document):
    found = set()

    def walk(value):
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                found.add(value["$ref"])
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(document)
    assert found
    for reference in found:
        target = document
        for step in reference.removeprefix("#/").split("/"):
            assert step in target, reference
            target = target[step]


def test_bodies_have_examples(document):
    schemas = document["components"]["schemas"]
    for name in ("Submission", "PlanRequest"):
        assert schemas[name]["properties"]["input"]["examples"][0].startswith(">ubiquitin")
    body = document["paths"]["/api/v1/jobs"]["post"]["requestBody"]["content"]
    assert set(body) == {"application/json", "multipart/form-data"}
    schemes = document["components"]["securitySchemes"]
    assert schemes["token"]["scheme"] == "bearer"
