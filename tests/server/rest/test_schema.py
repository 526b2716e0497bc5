"""What is sent at random, as the document allows and as it forbids, is answered as it says."""

from __future__ import annotations

import os
from collections import Counter

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from itda.server.rest import events
from itda.server.settings import Limits

from .house import FASTA, House, make_house
from .test_results import FILES

EXAMPLES = int(os.environ.get("ITDA_TEST_SCHEMA_EXAMPLES", "5"))
"""Requests of each kind to each operation; a longer run is for before a release."""

BASE = "http://localhost"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


class Sender:
    """Sends to one server, and counts what came of it."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.client = house.client(house.owner)
        self.statuses: Counter[int] = Counter()
        accounts = house.services.accounts
        self.organisation = accounts.projects.add_organisation("Spare").id
        self.project = accounts.projects.add(self.organisation, "Spare").id
        self.user = accounts.users.add("spare@example.org").id

    def names(self) -> dict[str, str]:
        """Return what is there, to be put into addresses."""
        (job,) = self.client.post("/api/v1/jobs", json={"input": FASTA}).json()["jobs"]
        self.house.services.queue.drain(False)
        self.house.finish(FILES)
        made = self.client.post("/api/v1/tokens", json={"name": "spare", "scopes": ["read"]})
        return {
            "job_id": job["id"],
            "kind": "structure",
            "token_id": made.json()["details"]["id"],
            "user_id": self.user,
            "project_id": self.project,
            "organisation_id": self.organisation,
        }

    def send(self, strategy) -> None:
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=EXAMPLES <= 5,
            database=None,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        )
        @given(case=strategy)
        def sent(case) -> None:
            answer = case.call(
                base_url=BASE,
                headers={"Authorization": f"Bearer {self.house.owner}", "Host": "localhost"},
            )
            self.statuses[answer.status_code] += 1
            case.validate_response(answer, checks=CHECKS)

        sent()


@pytest.fixture
def sender(database, tmp_path, monkeypatch) -> Sender:
    monkeypatch.setattr(events, "LONGEST_SECONDS", 0.1)
    monkeypatch.setenv("ITDA_DATABASES", str(tmp_path / "databases"))
    limits = Limits(requests_per_minute=10**9, sign_ins_per_minute=10**9)
    return Sender(make_house(database, tmp_path / "home", limits=limits))


def test_every_operation_answers_as_documented(sender):
    app = sender.house.app
    document = schemathesis.openapi.from_asgi(
        "/api/v1/openapi.json", app, headers={"Host": "localhost"}
    )
    operations = [result.ok() for result in document.get_all_operations()]
    assert len(operations) > 40
    for operation in operations:
        there = sender.names()
        named = {one.name: there[one.name] for one in operation.path_parameters}
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            try:
                sender.send(operation.as_strategy(mode))
            except Unsatisfiable:
                # There is nothing that this operation forbids.
                assert mode is GenerationMode.NEGATIVE
            if named:
                sender.send(operation.as_strategy(path_parameters=named))
    print(dict(sender.statuses))
    # It would show nothing if all were refused at the door.
    assert sender.statuses[200] > 50 and sender.statuses[201] and sender.statuses[422]
