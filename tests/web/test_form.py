"""The form of a new prediction: what is shown before, and what is queued."""

from __future__ import annotations

import re
from importlib.resources import files as files_of

import pytest

from itda.server.queue.records import Priority

from .site import EVIL, FASTA, UBIQUITIN, key_of, submitted


def test_the_preview_says_what_was_understood(site):
    visit = site.owner()
    part = visit.part("/preview", {"text": FASTA}).text
    assert "<html" not in part
    assert "ubiquitin" in part
    assert "76 residues" in part
    assert re.search(r'name="family" value="mini" checked', part)
    assert "about" in part
    assert '<button class="main" id="predict">Predict</button>' in part.replace("\n", "")


def test_the_preview_tells_errors_by_record(site):
    part = site.owner().part("/preview", {"text": f"{FASTA}>bad\nMKT1LLL\n>{EVIL[:30]}\nMK\n"}).text
    assert "3 records" in part
    assert "2 of them with errors" in part
    assert "<script" not in part
    assert "Records with errors are left out." in part


@pytest.mark.parametrize("text", ["", "   \n"])
def test_nothing_given_is_no_error(site, text):
    part = site.owner().part("/preview", {"text": text}).text
    assert "Nothing has been given yet" in part
    assert "disabled" in part


def test_an_input_that_nobody_can_fold_cannot_be_sent(site):
    part = site.owner().part("/preview", {"text": ">a\nMKTAYIAKQR:MKTAYIAKQR\n"}).text
    assert re.search(r'<button class="main" id="predict" disabled>', part)
    assert "Cannot do this:" in part


def test_a_number_out_of_range_is_told(site):
    part = site.owner().part("/preview", {"text": FASTA, "samples": "0"}).text
    assert "samples" in part
    assert re.search(r'<button class="main" id="predict" disabled>', part)


def test_a_file_is_read(site):
    visit = site.owner()
    files = {"files": ("x.fasta", FASTA.encode(), "text/plain")}
    headers = {"HX-Request": "true", "HX-Request-Type": "partial"}
    assert "ubiquitin" in visit.post("/preview", {}, files=files, headers=headers).text
    # Without a script a whole page comes back, and keeps what was in the file.
    whole = visit.post("/preview", {}, files=files).text
    assert UBIQUITIN in whole
    assert "76 residues" in whole


def test_submitting_leads_to_the_job(site):
    visit = site.owner()
    page = visit.get(submitted(visit, family="mini", seed="7")).text
    assert "ubiquitin" in page
    assert UBIQUITIN in page
    assert ">7<" in page
    job = site.services.queue.jobs([site.project.id]).jobs[0]
    assert job.settings["seed"] == 7
    assert job.priority is Priority.NORMAL


def test_the_same_form_twice_is_one_job(site):
    visit = site.owner()
    assert submitted(visit) == submitted(visit)
    assert submitted(visit) != submitted(visit, key="1" * 32)


def test_several_records_lead_to_the_list(site):
    visit = site.owner()
    address = submitted(visit, text=f"{FASTA}>second\n{UBIQUITIN}\n")
    assert address.startswith("/jobs?submitted=2")
    assert "2 jobs were submitted." in visit.get(address).text


def test_what_cannot_be_submitted_comes_back_with_the_reason(site):
    answer = site.owner("ko").post("/jobs", {"text": ">x\nMK\n"})
    assert answer.status_code == 422
    assert "제출하지 못했습니다" in answer.text
    assert "&gt;x\nMK" in answer.text


def test_urgent_is_for_managers(site):
    site.add_user("kim@example.org", "member")
    visit = site.signed_in("kim@example.org")
    assert "Urgent" not in visit.get("/").text
    answer = visit.post("/jobs", {"text": FASTA, "priority": "0"})
    assert answer.status_code == 422
    assert "priority urgent" in answer.text
    assert "Urgent" in site.owner().get("/").text


def test_who_only_reads_has_no_form(site):
    site.add_user("reader@example.org", "viewer")
    visit = site.signed_in("reader@example.org")
    assert "<textarea" not in visit.get("/").text
    assert visit.post("/jobs", {"text": FASTA, "project": site.project.id}).status_code == 422
    assert site.services.queue.jobs([site.project.id]).total == 0


def test_a_form_without_its_token_changes_nothing(site):
    visit = site.owner()
    answer = visit.client.post("/jobs", data={"text": FASTA}, follow_redirects=False)
    assert answer.status_code == 403
    assert "This is not allowed" in answer.text
    assert site.services.queue.jobs([site.project.id]).total == 0


def test_the_input_of_a_job_can_be_used_again(site):
    visit = site.owner()
    address = submitted(visit)
    page = visit.get(f"/?like={key_of(address)}").text
    assert f"&gt;ubiquitin\n{UBIQUITIN}" in page


def test_a_refusal_is_said_in_the_language_and_the_words_of_the_page(site):
    text = ">x\nMKBT\n>y\nMKTAYIAKQRQISFVK\n"
    headers = {"HX-Request": "true", "HX-Request-Type": "partial", "Accept-Language": "ko"}
    part = site.owner().post("/preview", {"text": text}, headers=headers).text
    assert "붙여 넣은 글, 레코드 1" in part and "의 B: 아스파르트산" in part
    assert '<span lang="ko">' in part and "--ambiguous" not in part


def test_a_structure_of_one_s_own_becomes_a_template(site):
    content = files_of("itda").joinpath("data/examples/1ubq.cif").read_bytes()
    visit = site.owner()
    headers = {"HX-Request": "true", "HX-Request-Type": "partial"}
    other = ">b\nGDSGKPLISGHWAQCTDRWLDPSTQAFNGWHTEDKRLLNPYWCGFSDVAERTGKPWHHSDN\n"

    def preview(**fields):
        files = {"template": ("1ubq.cif", content, "chemical/x-cif")}
        return visit.post("/preview", fields, files=files, headers=headers).text

    part = preview(text=FASTA, template_chain="A")
    assert "76 residues" in part and 'name="family" value="mini" checked' in part
    part = preview(text=FASTA + other)
    assert "is for chain A" in part and "does not resemble template 1ubq.cif" in part
    assert "no protein chain &#39;Q&#39;" in preview(text=FASTA, template_chain="Q")
    assert "Nothing has been given yet" in preview(text="")
    files = {"template": ("1ubq.cif", content, "chemical/x-cif")}
    fields = {"text": FASTA, "family": "mini"}
    answer = visit.post("/jobs", fields, files=files)
    key = key_of(answer.headers["location"])
    protein = site.services.queue.job(key).document["entities"][0]["protein"]
    assert protein["templates"][0]["path"] == "1ubq.cif"
