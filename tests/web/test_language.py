import pytest

from itda.language import LANGUAGES, choose_code
from itda.server.pages.language import Language, read_languages, zone_of


@pytest.mark.parametrize(
    ("wishes", "accepted", "code"),
    [
        ((), "", "en"),
        ((), "ko-KR,ko;q=0.9,en;q=0.8", "ko"),
        ((), "fr,en;q=0.5,ko;q=0.7", "ko"),
        ((), "ko;q=0, en", "en"),
        ((), "fr, de", "en"),
        ((), "ko;q=much, en;q=0.1", "en"),
        (("ko", "en"), "en", "ko"),
        ((None, "ko"), "en", "ko"),
        (("xx", None), "ko", "ko"),
    ],
)
def test_the_users_wish_comes_first_then_the_cookies_then_the_browsers(wishes, accepted, code):
    assert choose_code(*wishes, accepted=accepted) == code


@pytest.mark.parametrize(
    ("seconds", "english", "korean"),
    [
        (0, "0 s", "0초"),
        (1.24, "1.2 s", "1.2초"),
        (12.4, "12 s", "12초"),
        (59.7, "1 min", "1분"),
        (61, "1 min 1 s", "1분 1초"),
        (3599.8, "1 h", "1시간"),
        (5400, "1 h 30 min", "1시간 30분"),
        (86399, "1 day", "1일"),
        (90000, "1 day 1 h", "1일 1시간"),
    ],
)
def test_durations_have_two_units(seconds, english, korean):
    assert Language("en").duration(seconds) == english
    assert Language("ko").duration(seconds) == korean


def test_values_are_written_as_the_language_writes_them():
    english, korean = Language("en"), Language("ko", zone_of("Asia/Seoul"))
    assert english.date_time(1_790_000_000) == "21 Sep 2026 14:13 UTC"
    assert korean.date_time(1_790_000_000) == "2026. 9. 21. 23:13"
    assert english.month(1_790_000_000) == "September 2026"
    assert korean.month(1_790_000_000) == "2026년 9월"
    assert english.bytes(3_626_388_936) == "3.4 GB"
    assert english.bytes(1023 * 2**20 + 2**19 + 1) == "1.0 GB"
    assert english.number(1234.5, 1) == "1,234.5"
    assert english.percent(0.9999) == "99%"
    assert english.percent(1.0) == "100%"
    assert korean.ago(125) == "2분 전"


@pytest.mark.parametrize("name", [None, "", "../../etc/passwd", "Nowhere/City", "x" * 1000, "\0"])
def test_a_zone_that_is_none_is_utc(name):
    assert Language("en", zone_of(name)).date_time(0).endswith("UTC")


def test_plurals():
    languages = read_languages()
    assert set(languages) == set(LANGUAGES)
    forms = ("%(num)s chain", "%(num)s chains")
    assert languages["en"].ngettext(*forms, 1) == forms[0]
    assert languages["en"].ngettext(*forms, 0) == forms[1]
    assert languages["ko"].ngettext(*forms, 5) == "사슬 %(num)s개"
