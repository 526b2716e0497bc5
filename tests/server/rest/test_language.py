"""Refusals in the language of a request, and as data for a client with another."""

from __future__ import annotations

import pytest

from itda.errors import retold

KOREAN = {"Accept-Language": "ko-KR,ko;q=0.9,en;q=0.5"}
BAD = ">x\nMKBT\n"


@pytest.fixture
def client(house):
    return house.client(house.owner)


def test_what_is_wrong_with_an_input_is_said_in_korean(client) -> None:
    asked = {"input": BAD}
    english = client.post("/api/v1/plan", json=asked).json()["records"][0]["error"]
    korean = client.post("/api/v1/plan", json=asked, headers=KOREAN).json()["records"][0]["error"]
    assert english["problem"].startswith("the text, record 1 'x' (line 1): B at position 3")
    assert "pass ambiguous x to read" in english["hint"]
    assert korean["problem"].startswith("붙여 넣은 글, 레코드 1 'x' (1행): 자리 3 (2행)의 B:")
    assert "ambiguous x 옵션" in korean["hint"] and "--" not in korean["hint"]
    # Who has another face says it in its own words.
    assert korean["message"] == english["message"]
    assert (
        "--ambiguous x" in retold(english)[1]
        and "--ambiguous x" in retold(korean, language="ko")[1]
    )


def test_a_refused_request_is_said_in_korean(client) -> None:
    asked = {"input": "<html>"}
    english = client.post("/api/v1/jobs", json=asked).json()
    korean = client.post("/api/v1/jobs", json=asked, headers=KOREAN).json()
    assert "is an HTML or XML page" in english["detail"]
    assert "HTML 또는 XML 페이지입니다" in korean["detail"] and "내려받아" in korean["hint"]
    assert korean["message"] == english["message"] and korean["remedies"] == english["remedies"]
