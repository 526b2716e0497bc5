import gzip

import pytest

from itda.server.pages import statics


@pytest.fixture
def get(shown):
    visit = shown.owner()
    return lambda address, **headers: visit.get(address, **headers)


def test_an_address_with_the_version_is_kept_for_good(get):
    answer = get(statics.address("itda.css"))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]
    assert answer.text == (statics.FOLDER / "itda.css").read_text(encoding="utf-8")


def test_what_the_report_has_too_is_served(get):
    answer = get(statics.address("result/plots.js"))
    assert answer.status_code == 200
    assert "export function rampAt" in answer.text


def test_another_version_is_asked_for_again(get):
    answer = get("/static/0123456789abcdef/itda.css")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-cache"


def test_packed_where_the_browser_takes_it(get):
    answer = get(statics.address("itda.js"), **{"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    plain = get(statics.address("itda.js"), **{"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert answer.text == plain.text
    assert gzip.decompress(statics._packed("itda.js")).decode() == plain.text


@pytest.mark.parametrize(
    "address",
    [
        "/static/x/nothing.css",
        "/static/x/",
        "/static/x",
        "/static/",
        "/static/x/../__init__.py",
        "/static/x/%2e%2e/__init__.py",
        "/static/x/..%2f__init__.py",
        "/static/x//etc/passwd",
    ],
)
def test_only_files_of_the_folder(get, address):
    assert get(address).status_code in (404, 405)
