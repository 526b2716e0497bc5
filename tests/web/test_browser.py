"""The pages in a browser, on a server as it is started, with the weights that are shipped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files as files_of

import pytest
from playwright.sync_api import Browser, expect

from .serving import AXE, CHROMIUM, NEEDED, Looker, chromium, serving
from .site import FASTA, UBIQUITIN

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not NEEDED and CHROMIUM is None, reason="no Chromium is installed"),
]

PHONE = {"width": 390, "height": 800}
DESK = {"width": 1280, "height": 900}
DARK, LIGHT = "rgb(15, 20, 26)", "rgb(246, 247, 249)"
ADDRESSES = [
    "/", "/?example=ubiquitin", "/jobs", "/usage", "/projects", "/account", "/set-password",
    "/admin", "/admin/users", "/admin/projects", "/admin/audit",
]  # fmt: skip


@pytest.fixture(scope="module")
def link(tmp_path_factory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("server")) as link:
        yield link


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def cookies(browser: Browser, link: str) -> dict[str, object]:
    """What a browser keeps that the printed link has signed in."""
    looker = Looker(browser, link)
    looker.page.goto(link)
    kept = looker.context.storage_state()
    looker.close()
    return kept


@pytest.fixture
def looker(browser: Browser, link: str, cookies, request) -> Iterator[Looker]:
    """Somebody who is signed in, at the first page."""
    looker = Looker(browser, link, storage_state=cookies, **getattr(request, "param", {}))
    looker.open("/")
    yield looker
    looker.close()


@pytest.fixture(scope="module")
def folded(browser: Browser, link: str, cookies) -> str:
    """The address of a job that is done."""
    looker = Looker(browser, link, storage_state=cookies)
    looker.open("/")
    looker.page.fill("#text", f">folded\n{UBIQUITIN[:40]}\n")
    looker.page.click("#preview button.main:enabled")
    looker.page.wait_for_selector(".head .state.done")
    address = looker.page.url.removeprefix(looker.base)
    looker.close()
    return address


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("en-GB", ("New prediction", "76 residues", "Predict", "done", "Structure")),
        ("ko-KR", ("새 예측", "잔기 76개", "예측 시작", "완료", "구조")),
    ],
    ids=["English", "Korean"],
)
def test_from_the_printed_link_to_the_structure(browser, link, locale, words):
    title, understood, predict, done, structure = words
    looker = Looker(browser, link, locale=locale)
    page = looker.page
    page.goto(link)
    expect(page.locator("h1")).to_have_text(title)
    page.fill("#text", FASTA)
    expect(page.locator("#preview")).to_contain_text(understood)
    button = page.locator("#preview button.main")
    expect(button).to_have_text(predict)
    button.click()
    page.wait_for_url("**/jobs/*")
    expect(page.locator("h1")).to_contain_text("ubiquitin")
    # The progress replaces itself until the job has ended; then the page is read anew.
    expect(page.locator(".head .state.done")).to_have_text(done)
    expect(page.get_by_role("heading", name=structure, exact=True)).to_be_visible()
    page.wait_for_selector("itda-result")
    expect(page.locator("#progress")).to_have_count(0)
    looker.close()


def test_progress_is_seen(looker):
    looker.drain(True)
    page = looker.page
    page.fill("#text", f">waits\n{UBIQUITIN[5:70]}\n")
    page.click("#preview button.main:enabled")
    expect(page.locator("#progress .state.queued")).to_be_visible()
    looker.drain(False)
    page.wait_for_selector(".stages li, .head .state.done")
    page.wait_for_selector(".head .state.done")
    page.click("text=Stages and their times")
    expect(page.locator(".stages li.done").first).to_be_visible()


def test_a_job_is_cancelled(looker):
    looker.drain(True)
    page = looker.open("/?example=ubiquitin")
    page.click("#preview button.main:enabled")
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("form[action$='/cancel'] button")
    expect(page.locator(".head .state.cancelled")).to_be_visible()
    looker.drain(False)


def test_with_the_keyboard_alone(looker):
    page = looker.page
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    expect(page.locator(".skip")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("[data-fill]")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.insert_text(f">keys\n{UBIQUITIN[10:60]}\n")
    button = page.locator("#preview button.main")
    expect(button).to_be_enabled()
    for _ in range(12):
        page.keyboard.press("Tab")
        if button.evaluate("one => one === document.activeElement"):
            break
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs/*")
    expect(page.locator("h1")).to_have_text("keys")


def test_what_has_the_focus_keeps_it_when_the_preview_comes(looker):
    page = looker.page
    page.fill("#text", FASTA)
    page.focus("#family-mini")
    with page.expect_response("**/preview"):
        page.locator("#samples").evaluate(
            "one => { one.value = '2'; one.dispatchEvent(new Event('input', {bubbles: true})); }"
        )
    expect(page.locator("#preview")).to_contain_text("2 structures")
    expect(page.locator("#family-mini")).to_be_focused()
    page.click("#options summary")
    page.fill("#samples", "3")
    expect(page.locator("#preview")).to_contain_text("3 structures")
    expect(page.locator("#samples")).to_be_focused()


def test_the_example_is_pasted(looker):
    page = looker.page
    page.click("[data-fill]")
    expect(page.locator("#text")).to_have_value(FASTA)
    expect(page.locator("#preview")).to_contain_text("76 residues")
    expect(page).to_have_url(f"{looker.base}/")


@pytest.mark.parametrize("text", [True, False], ids=["text", "gzip"])
def test_a_file_is_dropped(looker, text):
    page = looker.page
    page.evaluate(
        """async ([fasta, text]) => {
          let content = new Blob([fasta]);
          if (!text) {
            const packed = content.stream().pipeThrough(new CompressionStream("gzip"));
            content = await new Response(packed).blob();
          }
          const transfer = new DataTransfer();
          transfer.items.add(new File([content], text ? "a.fasta" : "a.fasta.gz"));
          for (const type of ["dragover", "drop"])
            document.body.dispatchEvent(new DragEvent(type, {
              bubbles: true, cancelable: true, dataTransfer: transfer }));
        }""",
        [FASTA, text],
    )
    expect(page.locator("#preview")).to_contain_text("76 residues")
    expect(page.locator("#text")).to_have_value(FASTA if text else "")


def test_a_structure_of_one_s_own_is_a_template(looker):
    page = looker.page
    structure = files_of("itda").joinpath("data/examples/1ubq.cif")
    page.fill("#text", FASTA)
    expect(page.locator("#preview")).to_contain_text("76 residues")
    page.click("#options summary")
    page.set_input_files("#template", str(structure))
    page.fill("#template_chain", "Q")
    preview = page.locator("#preview")
    expect(preview).to_contain_text("no protein chain 'Q'")
    page.fill("#template_chain", "A")
    expect(preview).not_to_contain_text("no protein chain")
    page.click("#preview button.main:enabled")
    expect(page.locator(".head .state.done")).to_be_visible()
    table = page.locator("section[aria-labelledby=templates-title]")
    expect(table).to_contain_text("1ubq, A")
    expect(table).to_contain_text("given by the user: 1ubq.cif")
    expect(table).to_contain_text("100 %")
    expect(table).to_contain_text("1987")


def test_what_is_dropped_on_the_field_of_a_template_is_left_to_it(looker):
    taken = looker.page.evaluate(
        """() => {
          const transfer = new DataTransfer();
          transfer.items.add(new File(["data_x"], "x.cif"));
          const drop = (where) => !document.querySelector(where).dispatchEvent(
            new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: transfer }));
          return [drop("#template"), drop("#text")];
        }"""
    )
    assert taken == [False, True]


def test_errors_are_shown_beside_what_is_good(looker):
    page = looker.page
    page.fill("#text", f"{FASTA}>bad\nMKT1\n")
    preview = page.locator("#preview")
    expect(preview).to_contain_text("1 of them with an error")
    expect(preview.locator("button.main")).to_be_enabled()
    page.fill("#text", ">bad\nMKT1\n")
    expect(preview.locator("button.main")).to_be_disabled()


def test_files_that_are_too_large_are_not_even_sent(looker):
    page = looker.page
    page.evaluate(
        """() => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(33 * 2 ** 20)], "large.fasta"));
          const input = document.querySelector("#files");
          input.files = transfer.files;
          input.dispatchEvent(new Event("change", { bubbles: true }));
        }"""
    )
    expect(page.locator("#preview .notice.bad")).to_contain_text("larger than the 32 MB")


def test_a_refusal_in_json_and_a_silent_server_are_told(looker):
    page = looker.page
    problem = '{"detail": "too many requests", "hint": "wait <b>"}'
    kind = "application/problem+json"
    # A status of 2xx, since the browser itself complains of others in its console.
    page.route(
        "**/preview", lambda route: route.fulfill(status=200, content_type=kind, body=problem)
    )
    page.fill("#text", FASTA)
    notice = page.locator("#preview .notice.bad")
    expect(notice).to_contain_text("too many requests")
    expect(notice).to_contain_text("wait <b>")
    page.unroute("**/preview")
    page.fill("#text", f"{FASTA}\n")
    expect(page.locator("#preview")).to_contain_text("76 residues")


def test_history_is_filtered_as_one_types(looker, folded):
    page = looker.open("/jobs")
    expect(page.locator("#list th[scope=row]").first).to_be_visible()
    page.fill("#q", "folded")
    expect(page.locator("#list th[scope=row]")).to_have_count(1)
    page.wait_for_url("**/jobs?*q=folded*")
    page.fill("#q", "nothing like it")
    expect(page.locator("#list")).to_contain_text("No job is like that.")


def test_language_and_colours_are_switched(browser, link):
    looker = Looker(browser, link)
    page = looker.open("/sign-in")
    html, body = page.locator("html"), page.locator("body")
    page.click("button[value=ko]")
    expect(html).to_have_attribute("lang", "ko")
    for colours, background in (("dark", DARK), ("light", LIGHT)):
        page.emulate_media(color_scheme=colours)
        expect(body).to_have_css("background-color", background)
    for colours, background in (("dark", DARK), ("light", LIGHT)):
        page.emulate_media(color_scheme="light" if colours == "dark" else "dark")
        page.click(f"button[value={colours}]")
        expect(html).to_have_attribute("data-theme", colours)
        expect(body).to_have_css("background-color", background)
    page.click("button[value=en]")
    expect(html).to_have_attribute("lang", "en")
    looker.close()


@pytest.mark.parametrize("looker", [{"java_script_enabled": False}], indirect=True)
def test_without_a_script(looker):
    page = looker.page
    page.fill("#text", f">plain\n{UBIQUITIN[:50]}\n")
    page.click("text=Read the input")
    expect(page.locator("#preview")).to_contain_text("50 residues")
    page.click("#preview button.main")
    page.wait_for_url("**/jobs/*")
    expect(page.locator("h1")).to_have_text("plain")
    expect(page.locator("text=Look again").or_(page.locator(".head .state.done"))).to_be_visible()


@pytest.mark.skipif(not NEEDED and not AXE.is_file(), reason="`make web` was not run")
@pytest.mark.parametrize(("colours", "viewport"), [("light", DESK), ("dark", PHONE)])
def test_everybody_can_use_every_page(browser, link, cookies, folded, colours, viewport):
    """Against axe-core: nothing serious in light or dark; and no phone scrolls sideways."""
    locale = {"light": "en-GB", "dark": "ko-KR"}[colours]
    looker = Looker(browser, link, locale=locale, color_scheme=colours, viewport=viewport)
    page = looker.open("/sign-in")
    script = AXE.read_text(encoding="utf-8")
    found, wide = [], []

    def check(address: str) -> None:
        told = page.evaluate(f"{script}; axe.run({{resultTypes: ['violations']}})")
        found.extend(
            (address, one["id"], one["nodes"][0]["html"])
            for one in told["violations"]
            if one["impact"] in ("serious", "critical")
        )
        if page.evaluate("document.documentElement.scrollWidth") > viewport["width"]:
            wide.append(address)

    check("/sign-in")
    looker.context.add_cookies(cookies["cookies"])
    project = looker.open("/projects").locator("th[scope=row] a").get_attribute("href")
    for address in [*ADDRESSES, project, folded]:
        check(looker.open(address).url)
    assert found == []
    assert wide == []
    looker.close()


def test_an_axe_that_is_blunt_would_be_noticed(looker):
    page = looker.page
    page.evaluate("document.querySelector('label[for=text]').remove()")
    told = page.evaluate(f"{AXE.read_text(encoding='utf-8')}; axe.run()")
    assert any(one["impact"] in ("serious", "critical") for one in told["violations"])


def test_a_token_is_copied(looker):
    looker.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = looker.open("/account")
    page.fill("#token-name", "for a test")
    page.click("text=Create a token")
    secret = page.locator("#secret").input_value()
    assert re.fullmatch(r"itda_\S{20,}", secret)
    page.click("[data-copy='#secret']")
    expect(page.locator("#secret-said")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == secret
