"""The page of a job: its progress, its result or its error, and who can see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from fastapi import APIRouter
from fastapi.responses import Response

from itda.language import Message
from itda.server.errors import NotFoundError
from itda.server.pages import words
from itda.server.pages.result import result_context
from itda.server.pages.visitors import AVisitor, Visitor, go_to
from itda.server.queue.records import JobRecord, State

router = APIRouter()


@dataclass(frozen=True)
class Chain:
    """A molecule of a job, with its copies.

    Attributes:
        name: Ids of the copies, with commas.
        molecule: What it is.
        length: Residues; 0 where it has no sequence.
        detail: Sequence, CCD codes or SMILES.
    """

    name: str
    molecule: str
    length: int
    detail: str


@router.get("/jobs/{job_id}")
def job_page(visitor: AVisitor, job_id: str) -> Response:
    """Show a job."""
    job = readable(visitor, job_id)
    services = visitor.services
    project = services.accounts.projects.get(job.project_id)
    return visitor.view.render(
        "job.html",
        section="jobs",
        job=job,
        project=project,
        owner=services.accounts.users.get(job.user_id).name,
        chains=chains_of(job.document),
        settings=_settings(visitor, job.settings),
        members=services.accounts.projects.members(job.project_id),
        link=f"{visitor.origin}/jobs/{job.id}",
        may_change=_may_change(visitor, job),
        **result_context(services, job),
        **_progress(visitor, job),
    )


@router.get("/jobs/{job_id}/progress")
def progress(visitor: AVisitor, job_id: str) -> Response:
    """Show how far a job is, as a part of its page; once it has ended the page is read anew."""
    job = readable(visitor, job_id)
    if not visitor.view.is_part:
        return go_to(f"/jobs/{job.id}")
    if job.state.ended:
        return Response(status_code=204, headers={"HX-Refresh": "true"})
    return visitor.view.render("progress.html", job=job, **_progress(visitor, job))


@router.post("/jobs/{job_id}/cancel")
def cancel(visitor: AVisitor, job_id: str) -> Response:
    """Stop a job."""
    job = _changeable(visitor, job_id)
    visitor.services.queue.cancel(job.id)
    return _changed(visitor, job, "job.cancel")


@router.post("/jobs/{job_id}/retry")
def retry(visitor: AVisitor, job_id: str) -> Response:
    """Queue a job again that failed or was cancelled."""
    job = _changeable(visitor, job_id)
    visitor.services.queue.retry(job.id)
    return _changed(visitor, job, "job.retry")


@router.post("/jobs/{job_id}/remove")
def remove(visitor: AVisitor, job_id: str) -> Response:
    """Remove a job with its files."""
    job = _changeable(visitor, job_id)
    visitor.services.queue.remove(job.id)
    _changed(visitor, job, "job.remove")
    return go_to("/jobs")


def readable(visitor: Visitor, job_id: str) -> JobRecord:
    """Return a job that the visitor may read.

    Raises:
        NotFoundError: There is none, or it belongs to a project that is not the visitor's.
    """
    try:
        job: JobRecord = visitor.services.queue.job(job_id)
        visitor.who.check(job.project_id, "read")
    except NotFoundError:
        # One sentence for both, or it would tell which jobs others have.
        raise NotFoundError(Message("there is no such job")) from None
    return job


def chains_of(document: Mapping[str, Any]) -> list[Chain]:
    """Return the molecules of a job's document."""
    chains = []
    for entity in document.get("entities", ()):
        for molecule, body in entity.items():
            ids = body.get("id", "")
            codes = body.get("ccd", "")
            sequence = body.get("sequence", "")
            other = body.get("smiles") or (codes if isinstance(codes, str) else " ".join(codes))
            chains.append(
                Chain(
                    name=ids if isinstance(ids, str) else ", ".join(ids),
                    molecule=molecule,
                    length=len(sequence),
                    detail=sequence or other,
                )
            )
    return chains


def input_text(job: JobRecord) -> str:
    """Return a job as text that can be submitted again: FASTA where it says all, else YAML."""
    chains = chains_of(job.document)
    plain = all(set(body) <= {"id", "sequence"} for body in _bodies(job.document))
    if plain and {chain.molecule for chain in chains} == {"protein"}:
        copies = [c.detail for c in chains for _ in c.name.split(", ")]
        return f">{job.name}\n{':'.join(copies)}\n"
    return yaml.safe_dump(dict(job.document), sort_keys=False, allow_unicode=True)


def _bodies(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [body for entity in document.get("entities", ()) for body in entity.values()]


def _changeable(visitor: Visitor, job_id: str) -> JobRecord:
    job = readable(visitor, job_id)
    own = job.user_id == visitor.who.user.id
    visitor.who.check(job.project_id, "submit" if own else "manage")
    return job


def _may_change(visitor: Visitor, job: JobRecord) -> bool:
    own = job.user_id == visitor.who.user.id
    return visitor.who.may(job.project_id, "submit" if own else "manage")


def _changed(visitor: Visitor, job: JobRecord, action: str) -> Response:
    visitor.services.accounts.audit(
        action, by=visitor.who.actor, project_id=job.project_id, object_id=job.id
    )
    return go_to(f"/jobs/{job.id}")


def _progress(visitor: Visitor, job: JobRecord) -> dict[str, Any]:
    queue = visitor.services.queue
    stages = queue.stages(job.id)
    queued = job.state is State.QUEUED
    ahead, starts_in = queue.position(job.id) if queued else (0, None)
    left = None
    if job.state is State.RUNNING and job.started_at is not None and job.fraction > 0.05:
        spent = visitor.services.clock() - job.started_at
        left = spent * (1 - job.fraction) / job.fraction
    return {
        "stages": stages,
        "current": next((one for one in stages if one.state == "running"), None),
        "ahead": ahead,
        "starts_in": starts_in,
        "quota": queue.held_by(job.id) if queued and starts_in is None else None,
        "left": left,
        "draining": queue.draining(),
    }


def _settings(visitor: Visitor, settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    shown = []
    for name, value in settings.items():
        text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        shown.append((visitor.view.text(words.word("setting", name)), text))
    return shown
