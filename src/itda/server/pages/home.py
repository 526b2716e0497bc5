"""The start page: a form for a new prediction, and what is understood of it."""

from __future__ import annotations

import dataclasses
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from fastapi.responses import Response

from itda.errors import ItdaError
from itda.job.options import TEMPLATE_SETS
from itda.search.databases.known_folds import has_known_folds
from itda.server.pages import submission
from itda.server.pages.job import input_text, readable
from itda.server.pages.submission import Answer, Form, answer_to, form_of
from itda.server.pages.view import View
from itda.server.pages.visitors import AVisitor, Visitor, WhatWasSent, go_to
from itda.server.queue.records import Priority
from itda.wire import UBIQUITIN

EXAMPLE = f">ubiquitin\n{UBIQUITIN}\n"
SHOWN_RECORDS = 20
SHOWN_BYTES = 400_000
"""A file up to this size is put into the text field where a page without a script comes back."""

router = APIRouter()


@router.get("/")
def home(visitor: AVisitor, example: str = "", like: str = "", project: str = "") -> Response:
    """Show the form; filled with an example, or with the input of a job."""
    form = Form(project_id=project)
    if example == "ubiquitin":
        form = dataclasses.replace(form, text=EXAMPLE)
    elif like:
        job = readable(visitor, like)
        form = dataclasses.replace(form, text=input_text(job), family=job.family)
    return _whole(visitor, form)


@router.post("/preview")
def preview(visitor: AVisitor, sent: WhatWasSent) -> Response:
    """Show what is understood of the form: as a part of the page, or in a whole one."""
    form = form_of(sent)
    if visitor.view.is_part:
        return visitor.view.render("preview.html", **_context(form, answer_to(visitor, form)))
    return _whole(visitor, _with_pasted_file(form))


@router.post("/jobs")
def submit(visitor: AVisitor, sent: WhatWasSent) -> Response:
    """Queue what the form asks for, and go to the job, or to the list where there are several."""
    form = form_of(sent)
    try:
        jobs = submission.submit(visitor, form)
    except ItdaError as error:
        return _whole(visitor, _with_pasted_file(form), refusal=error, status=422)
    if len(jobs) == 1:
        return go_to(f"/jobs/{jobs[0].id}")
    return go_to(f"/jobs?{urlencode({'submitted': len(jobs), 'project': jobs[0].project_id})}")


def _whole(
    visitor: Visitor, form: Form, *, refusal: ItdaError | None = None, status: int = 200
) -> Response:
    view: View = visitor.view
    projects = submission.open_projects(visitor)
    managed = any(visitor.who.may(one.id, "manage") for one in projects)
    return view.render(
        "home.html",
        status,
        section="new",
        projects=projects,
        efforts=list(TEMPLATE_SETS),
        priorities=[one for one in Priority if managed or one is not Priority.URGENT],
        example=EXAMPLE,
        draining=visitor.services.queue.draining(),
        sequence_searches=submission.sequence_searches(),
        structure_searches=submission.structure_searches(),
        known_folds=has_known_folds(),
        refusal=refusal,
        most_bytes=visitor.services.settings.limits.body_bytes,
        **_context(form, answer_to(visitor, form)),
    )


def _context(form: Form, answer: Answer | None) -> dict[str, Any]:
    family = submission.family_of_parameters(form, answer)
    return {
        "form": form,
        "answer": answer,
        "shown": SHOWN_RECORDS,
        "parameters_of": family,
        "parameter_fields": submission.parameter_fields(form, family) if family else [],
    }


def _with_pasted_file(form: Form) -> Form:
    # A browser does not keep the files of a form that is sent.
    if len(form.files) != 1 or form.text.strip() or len(form.files[0].content) > SHOWN_BYTES:
        return form
    try:
        text = form.files[0].content.decode("utf-8")
    except UnicodeDecodeError:
        return form
    return dataclasses.replace(form, text=text, files=())
