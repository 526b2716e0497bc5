"""Routes of a job's files: structures, confidences, errors, and all of them as one archive."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse

from itda.job.names import file_stem
from itda.language import Message
from itda.server.errors import NotFoundError
from itda.server.queue.records import FileRecord, JobRecord
from itda.server.rest.archive import zipped
from itda.server.rest.common import JobKey, Reader, job_for, matches, problems
from itda.server.rest.jobs import Service
from itda.server.rest.views import file_view
from itda.server.security.identity import Identity
from itda.server.services import Services
from itda.wire import Files, Pae

MEDIA_TYPES = {
    ".cif": "chemical/x-mmcif",
    ".json": "application/json",
    ".npz": "application/x-npz",
    ".html": "text/html; charset=utf-8",
    ".a3m": "text/plain; charset=utf-8",
}
log = logging.getLogger("itda.server")

BINARY = "application/octet-stream"
ZIP = "application/zip"

Direction = Annotated[
    Literal["output", "input"],
    Query(description="Results, or the files that came with the job."),
]
Kind = Annotated[
    str,
    Path(
        min_length=1,
        max_length=255,
        description="Of the file, as the list of files has it.",
        examples=["structure"],
    ),
]
Rank = Annotated[
    int | None, Query(ge=0, le=9999, description="Place among the samples; the best is 0.")
]
_RANGE: dict[int | str, dict[str, Any]] = {
    206: {"description": "The part that `Range` asks for."},
    304: {"description": "It is as the asker has it (`If-None-Match`)."},
    416: {"description": "The file has no such part."},
}

router = APIRouter(tags=["results"])


def _content(*media_types: str) -> dict[int | str, dict[str, Any]]:
    content = {
        kind: {
            "schema": {"type": "object"}
            if kind == MEDIA_TYPES[".json"]
            else {"type": "string", "contentMediaType": kind}
        }
        for kind in media_types
    }
    return {200: {"description": "The file.", "content": content}, **_RANGE, **problems(404)}


@router.get(
    "/jobs/{job_id}/files",
    response_model=Files,
    responses=problems(404),
    summary="List the files of a job",
)
def files(job_id: JobKey, who: Reader, services: Service, direction: Direction = "output") -> Files:
    """Give the files of a job; there are none before it is done."""
    job_for(services, who, job_id, "read")
    found = services.queue.files(job_id, direction)
    inputs = direction == "input"
    return Files(files=tuple(file_view(job_id, one, inputs=inputs) for one in found))


@router.get(
    "/jobs/{job_id}/files/{kind}",
    response_class=Response,
    responses=_content(BINARY, *MEDIA_TYPES.values()),
    summary="Get a file of a job",
)
def file(
    job_id: JobKey,
    kind: Kind,
    request: Request,
    who: Reader,
    services: Service,
    direction: Direction = "output",
) -> Response:
    """Give a file; parts of it can be asked for, and its `ETag` is the SHA-256 of its content."""
    _, record = _find(services, who, job_id, kind, direction)
    return _send(services, request, record)


@router.get(
    "/jobs/{job_id}/structure",
    response_class=Response,
    responses=_content(MEDIA_TYPES[".cif"]),
    summary="Get a structure",
)
def structure(
    job_id: JobKey, request: Request, who: Reader, services: Service, rank: Rank = None
) -> Response:
    """Give the best structure, or the one of a rank, as mmCIF with pLDDT as B-factor."""
    job = job_for(services, who, job_id, "read")
    found = {one.kind: one for one in services.queue.files(job.id)}
    kind = "structure" if rank is None else f"sample_{rank}"
    if rank == 0 and kind not in found:
        # Where there is one structure alone, it is the best.
        kind = "structure"
    return _send(services, request, _of_kind(job, found, kind))


@router.get(
    "/jobs/{job_id}/confidence",
    response_class=Response,
    responses=_content(MEDIA_TYPES[".json"]),
    summary="Get the confidences",
)
def confidence(job_id: JobKey, request: Request, who: Reader, services: Service) -> Response:
    """Give pLDDT of each residue, pTM, interfaces, validity, ranking and provenance, as JSON."""
    _, record = _find(services, who, job_id, "confidence", "output")
    return _send(services, request, record)


@router.get(
    "/jobs/{job_id}/pae",
    response_class=Response,
    responses={
        **_content(MEDIA_TYPES[".npz"]),
        200: {
            "description": "The errors.",
            "model": Pae,
            "content": {
                MEDIA_TYPES[".npz"]: {
                    "schema": {"type": "string", "contentMediaType": MEDIA_TYPES[".npz"]}
                }
            },
        },
    },
    summary="Get the predicted aligned errors",
)
def pae(
    job_id: JobKey, request: Request, who: Reader, services: Service, rank: Rank = None
) -> Response:
    """Give the predicted aligned errors in ångström.

    By default the file `NAME.pae.npz` (numpy, float16); with `Accept: application/json` the errors
    of the best structure, or of the one of a rank, as JSON.
    """
    _, record = _find(services, who, job_id, "pae", "output")
    if not _prefers_json(request.headers.get("accept", "")):
        answer = _send(services, request, record)
    else:
        etag = f'"{record.digest}.json.{rank or 0}"'
        headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
        if matches(request, etag):
            answer = Response(status_code=304, headers=headers)
        else:
            content = _pae(_path(services, record), rank or 0)
            answer = JSONResponse(content, headers=headers)
    answer.headers["Vary"] = "Accept"
    return answer


@router.get(
    "/jobs/{job_id}/archive",
    response_class=Response,
    responses={
        200: {
            "description": "The archive.",
            "content": {ZIP: {"schema": {"type": "string", "contentMediaType": ZIP}}},
        },
        **problems(404),
    },
    summary="Get all files of a job",
)
def archive(job_id: JobKey, who: Reader, services: Service) -> Response:
    """Give every result file of a job as one zip archive."""
    job = job_for(services, who, job_id, "read")
    found = services.queue.files(job.id)
    if not found:
        raise NotFoundError(
            Message("job {job} has no files", job=job.id),
            hint=Message("it is {state}", state=job.state.value),
        )
    paths: Iterator[tuple[str, FilePath]] = iter(
        [(one.name, _path(services, one)) for one in found]
    )
    headers = {
        "Content-Disposition": _disposition(f"{file_stem(job.name)}.zip"),
        "Cache-Control": "private, no-cache",
    }
    return StreamingResponse(zipped(paths), media_type=ZIP, headers=headers)


def _find(
    services: Services, who: Identity, job_id: str, kind: str, direction: str
) -> tuple[JobRecord, FileRecord]:
    job = job_for(services, who, job_id, "read")
    found = {one.kind: one for one in services.queue.files(job.id, direction)}
    return job, _of_kind(job, found, kind)


def _of_kind(job: JobRecord, found: dict[str, FileRecord], kind: str) -> FileRecord:
    if kind not in found:
        what = ", ".join(sorted(found)[:20])
        raise NotFoundError(
            Message("job {job} has no file {kind!r}", job=job.id, kind=kind),
            hint=Message("it has {what}", what=what)
            if found
            else Message("it is {state}", state=job.state.value),
        )
    return found[kind]


def _send(services: Services, request: Request, record: FileRecord) -> Response:
    headers = {"ETag": f'"{record.digest}"', "Cache-Control": "private, no-cache"}
    if matches(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    path = _path(services, record)
    suffix = FilePath(record.name).suffix.lower()
    return FileResponse(
        path,
        media_type=MEDIA_TYPES.get(suffix, BINARY),
        headers={**headers, "Content-Disposition": _disposition(record.name)},
    )


def _path(services: Services, record: FileRecord) -> FilePath:
    try:
        return services.artefacts.path(record.digest)
    except NotFoundError as error:
        log.error("a file of a job is missing: %s", error.problem)
        raise NotFoundError(
            Message("file {record!r}: the server has lost it", record=record.name),
            hint=Message("tell whoever runs the server; the job can be submitted again"),
        ) from None


def _disposition(name: str) -> str:
    """Return the header that offers a file under a name; a browser never shows it as a page."""
    from urllib.parse import quote

    plain = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "._- ") else "_"
        for letter in name
    )
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _prefers_json(accept: str) -> bool:
    weights = {"json": 0.0, "npz": 0.0}
    for part in accept.split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                try:
                    weight = float(value)
                except ValueError:
                    weight = 0.0
        if kind.lower() == "application/json":
            weights["json"] = max(weights["json"], weight)
        elif kind.lower() in (MEDIA_TYPES[".npz"], BINARY):
            weights["npz"] = max(weights["npz"], weight)
    return weights["json"] > weights["npz"]


def _pae(path: FilePath, rank: int) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as arrays:
        if "pae" not in arrays.files:
            raise NotFoundError(Message("the model of this job predicts no aligned error"))
        if rank and ("pae_samples" not in arrays.files or rank >= len(arrays["pae_samples"])):
            raise NotFoundError(Message("there is no sample of rank {rank}", rank=rank))
        errors = arrays["pae_samples"][rank] if rank else arrays["pae"]
        tokens = {
            field: arrays[field].tolist()
            for field in ("chain_id", "number", "insertion_code", "name", "atom_name")
        }
    return {
        "pae_angstrom": np.round(errors.astype(np.float64), 2).tolist(),
        "tokens": tokens,
    }
