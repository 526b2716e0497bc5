"""Results to look at, and a small server that shows them as the real one does, policy and all."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import uvicorn
from biotite.structure import AtomArray, concatenate, get_residue_starts
from biotite.structure.io.pdbx import CIFFile, get_structure
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from itda.confidence.validity import check_validity
from itda.errors import ItdaError
from itda.job.model import Job
from itda.results.files import write_result
from itda.results.result import Result
from itda.server.errors import NotFoundError
from itda.server.pages import result as pages_result
from itda.server.pages.statics import Files
from itda.server.pages.view import make_environment, view_of
from itda.server.queue.records import FileRecord, JobRecord, Priority, State
from itda.server.security.headers import SecurityHeaders
from itda.structure.prediction import Prediction, Provenance
from tests.patience import PATIENCE_SECONDS

UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"
COUNT = len(UBIQUITIN)
EXAMPLE = Path(__file__).parents[2] / "src" / "itda" / "data" / "examples" / "1ubq.cif"
KINDS = {".confidence.json": "confidence", ".pae.npz": "pae", ".html": "report"}
PAGE = """{% extends "base.html" %}{% block title %}{{ name }}{% endblock %}
{% block main %}<h1>{{ name }}</h1>{% include "result/view.html" %}{% endblock %}"""


def ubiquitin() -> AtomArray:
    atoms = get_structure(CIFFile.read(EXAMPLE), model=1, use_author_fields=True)
    return atoms[(~atoms.hetero) & (atoms.chain_id == "A")]


def provenance(seed: int) -> Provenance:
    return Provenance(
        itda_version="0.1.0", family="mini", weights_set="mini", weights_source="built in",
        weights_digest="sha256:" + "ab" * 32, weights_licence="Apache-2.0", non_commercial=False,
        licence_acknowledged=None, citations=("A paper about it, 2026",), seed=seed, recycles=3,
        inputs={"sequence": "sha256:" + "cd" * 32}, device="cpu", kernels={"attention": "sdpa"},
        dtype="float32", versions={"itda": "0.1.0", "torch": "2.13"},
        created="2026-11-25T11:02:26+00:00",
    )  # fmt: skip


def prediction(
    chains: tuple[str, ...] = ("A",),
    *,
    seed: int = 0,
    pae: bool = True,
    apart: float = 4.0,
    loss: float = 0.0,
) -> Prediction:
    """Copies of ubiquitin, 28 Å from one another, with pLDDT of every band.

    Args:
        chains: Their ids.
        seed: Of the sample.
        pae: Whether there is a predicted error.
        apart: Expected error between chains, Å.
        loss: Taken off every pLDDT.
    """
    copies = []
    for place, chain in enumerate(chains):
        copy = ubiquitin()
        copy.chain_id[:] = chain
        copy.coord[:, 0] += 28.0 * place
        copies.append(copy)
    atoms = concatenate(copies)
    starts = get_residue_starts(atoms)
    count = len(starts)
    plddt = np.round(np.clip(97 - 0.9 * np.arange(count) % 65 - loss, 5, 99), 2)
    atoms.set_annotation(
        "b_factor", np.repeat(plddt, np.diff(np.append(starts, atoms.array_length())))
    )
    errors = None
    if pae:
        place = np.arange(count)
        errors = np.clip(np.abs(place[:, None] - place[None, :]) * 0.3 + 0.5, 0, 28.0)
        chain_of = np.repeat(np.arange(len(chains)), count // len(chains))
        errors = np.where(chain_of[:, None] == chain_of[None, :], errors, apart)
        errors[:, 5] = 20.0
    return Prediction(
        name="ubiquitin", atoms=atoms, plddt=plddt, pae=errors, ptm=0.81 if pae else None,
        sample=0, seed=seed, provenance=provenance(seed), validity=check_validity(atoms).to_dict(),
    )  # fmt: skip


def write(folder: Path, name: str, predictions: list[Prediction]) -> Path:
    """Write the files of a result that consists of these predictions."""
    chains = list(dict.fromkeys(predictions[0].atoms.chain_id.tolist()))
    job = Job.from_dict(
        {
            "version": 1,
            "name": name,
            "entities": [{"protein": {"id": chain, "sequence": UBIQUITIN}} for chain in chains],
            "seeds": [one.seed for one in predictions],
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_result(
        Result(job, tuple(predictions), digest="d" * 64, cached=False, seconds=1.0), folder
    )
    return folder


def kind_of(path: Path) -> str:
    for ending, kind in KINDS.items():
        if path.name.endswith(ending):
            return kind
    stem, _, rank = path.stem.rpartition("_sample_")
    return f"sample_{rank}" if stem else "structure"


class Folders:
    """What the view asks of queue and artefacts, from folders of files: one a job."""

    def __init__(self, folders: dict[str, Path], settings: dict[str, object] | None = None) -> None:
        self.paths: dict[str, Path] = {}
        self.records: dict[str, list[FileRecord]] = {}
        self.settings = settings or {}
        for name, folder in folders.items():
            self.records[name] = [self._record(path) for path in sorted(folder.iterdir())]
        self.queue = SimpleNamespace(job=self.job, files=self.files)
        self.artefacts = SimpleNamespace(path=self.paths.__getitem__)

    def _record(self, path: Path) -> FileRecord:
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        self.paths[digest] = path
        return FileRecord(kind=kind_of(path), name=path.name, digest=digest, bytes=len(content))

    def files(self, job_id: str, direction: str = "output") -> list[FileRecord]:
        return self.records[job_id]

    def job(self, job_id: str) -> JobRecord:
        if job_id not in self.records:
            raise NotFoundError("there is no such job")
        return JobRecord(
            id=job_id, organisation_id="o", project_id="p", user_id="u", submission_id="s",
            position=0, name=job_id, family="mini", document={}, settings=self.settings, tokens=76,
            need_bytes=0, need_seconds=0.0, device_kind="cpu", priority=Priority.NORMAL,
            state=State.DONE, created_at=0.0, started_at=0.0, finished_at=1.0,
            cancel_requested_at=None, attempts=1, crashes=0, fraction=1.0, message="", error=None,
            summary=None, revision=1,
        )  # fmt: skip


def make_app(services: Folders) -> FastAPI:
    """Return the view alone, behind the real content policy; a job named "secret" is nobody's."""
    app = FastAPI()

    def authorise(job_id: str) -> JobRecord:
        if job_id == "secret":
            raise NotFoundError("there is no such job")
        return services.job(job_id)

    app.include_router(pages_result.routes(services, authorise))
    app.mount("/static", Files())

    @app.get("/jobs/{job_id}")
    def page(request: Request, job_id: str) -> Response:
        view = view_of(request)
        context = pages_result.result_context(services, services.job(job_id))
        html = (
            make_environment(view.language)
            .from_string(PAGE)
            .render(
                view=view, lang=view.language, request=request, identity=None, csrf_token="",
                name=job_id, **context,
            )
        )  # fmt: skip
        return Response(html, media_type="text/html")

    @app.exception_handler(ItdaError)
    def failed(request: Request, error: ItdaError) -> Response:
        status = 404 if isinstance(error, NotFoundError) else 422
        return JSONResponse({"detail": str(error)}, status_code=status)

    app.add_middleware(SecurityHeaders, https=False)
    return app


@contextlib.contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serve an application on a free port of this machine; gives its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the server did not start")
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(PATIENCE_SECONDS)
