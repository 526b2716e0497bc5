"""The view of a result: what its template shows, and the data that its scripts fetch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files as package_files
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response

from itda.errors import ItdaError
from itda.language import Message, mark
from itda.results.verdict import Sentence, side_chains
from itda.server.errors import NotFoundError
from itda.server.pages import statics
from itda.server.pages.result_files import (
    MOST_PAE_CELLS_A_SIDE,
    ResultFiles,
    pae_map,
    residue_table,
    sample_data,
)
from itda.server.pages.result_reading import (
    best_pairs,
    pairs_of,
    plddt_state,
    validity_sentences,
    validity_summary,
)
from itda.server.queue.records import State

if TYPE_CHECKING:
    from itda.server.queue.records import JobRecord
    from itda.server.services import Services

Authorise = Callable[..., "JobRecord"]
"""A dependency: `job_id` of the address to the job, where the asker may read it."""

Rank = Annotated[int, Query(ge=0, le=1_000_000)]

MOST_SAMPLES_IN_WORDS = 40
"""More are in the table, but only the files tell about them."""

MOST_PAIRS_IN_WORDS = 10
"""Of chains; more are in a table."""

SIMPLE_VIEWER = "/result-viewer/3Dmol-min.js"
"""The viewer that reports carry, for an installation without Mol*."""


def result_context(services: Services, job: JobRecord) -> dict[str, Any]:
    """Return what `result/view.html` needs, as `result`; that is None until the job is done.

    Its addresses are below `/jobs/ID/result/`. A result whose files cannot be read is told as
    `result.problem`.
    """
    if job.state is not State.DONE:
        return {"result": None}
    try:
        return {"result": _view(ResultFiles(services, job), job)}
    except (ItdaError, KeyError, TypeError, ValueError) as error:
        return {"result": {"problem": str(error), "downloads": []}}


def has_molstar() -> bool:
    """Whether `make web` has put Mol* into the package."""
    return (statics.FOLDER / "vendor" / "molstar.js").is_file()


def _view(files: ResultFiles, job: JobRecord) -> dict[str, Any]:
    confidence = files.confidence
    ranking = confidence["ranking"]
    base = f"/jobs/{job.id}/result"
    molstar = has_molstar()
    tokens = len(confidence["plddt"])
    return {
        "problem": None,
        "base": base,
        "name": job.name,
        "stem": files.record("confidence").name.removesuffix(".confidence.json"),
        "family": confidence["provenance"]["family"],
        "residues": tokens,
        "viewer": "molstar" if molstar else "simple",
        "viewer_address": statics.address("vendor/molstar.js") if molstar else SIMPLE_VIEWER,
        "script": statics.address("result/main.js"),
        "style": statics.address("result/result.css"),
        "several_chains": len(confidence["chains"]) > 1,
        "chains": confidence["chains"],
        "has_ptm": confidence["ptm"] is not None,
        "has_iptm": confidence["iptm"] is not None,
        "ranked_by": confidence["ranked_by"],
        "has_pae": files.has_pae,
        "coarse_pae": tokens > MOST_PAE_CELLS_A_SIDE,
        "samples": [_sample(one) for one in ranking],
        "verdict": _verdict(confidence),
        "side_chains": side_chains(confidence["provenance"]["family"]),
        "in_words": [_words(one) for one in ranking[:MOST_SAMPLES_IN_WORDS]],
        "terms": confidence["terms"],
        "non_commercial": confidence["provenance"]["non_commercial"],
        "citations": confidence["provenance"]["citations"],
        # Results of earlier versions do not say.
        "templates": confidence.get("templates", []),
        "provenance": list(_provenance(confidence, job)),
        "downloads": _downloads(files, job),
    }


def _sample(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "rank": entry["rank"],
        "seed": entry["seed"],
        "sample": entry["sample"],
        "mean_plddt": entry["mean_plddt"],
        "state": plddt_state(entry["mean_plddt"]),
        "ptm": entry["ptm"],
        "iptm": entry["iptm"],
        "mean_pae_angstrom": entry["mean_pae_angstrom"],
        "validity": validity_summary(entry["validity"]),
    }


def _words(entry: Mapping[str, Any]) -> dict[str, Any]:
    validity = entry["validity"]
    pairs = pairs_of(entry["chain_pairs"])
    return {
        "rank": entry["rank"],
        "pairs": pairs,
        "told_pairs": best_pairs(pairs, MOST_PAIRS_IN_WORDS),
        "validity": None if validity is None else validity_sentences(validity),
    }


def _verdict(confidence: Mapping[str, Any]) -> dict[str, Any]:
    """Return the verdict; without sentences where the result was written before there were any."""
    verdict = confidence.get("verdict", {})
    return {
        "look": _LOOKS.get(verdict.get("level", ""), ""),
        "sentences": [Sentence.from_dict(one) for one in verdict.get("sentences", ())],
    }


_LOOKS = {"trusted": "good", "plausible": "warn", "doubtful": "warn", "untrusted": "bad"}
"""How a level of a verdict is drawn, as a notice of the style sheet."""

_LABELS = {
    "family": mark("Model family"),
    "weights_set": mark("Weight set"),
    "weights_source": mark("Weights from"),
    "weights_digest": mark("Digest of the weights"),
    "weights_licence": mark("Licence of the weights"),
    "licence_acknowledged": mark("Licence acknowledged"),
    "recycles": mark("Recycles"),
    "device": mark("Device"),
    "dtype": mark("Number format"),
    "kernels": mark("Kernels"),
    "inputs": mark("Digests of what went in"),
    "versions": mark("Versions"),
    "created": mark("Made (UTC)"),
}
_SEARCHED = {
    "msa": mark("Alignments"),
    "databases": mark("Databases"),
    "templates": mark("Templates"),
}


def _provenance(confidence: Mapping[str, Any], job: JobRecord) -> Iterator[dict[str, Any]]:
    made = confidence["provenance"]
    for key, label in _LABELS.items():
        if made[key] not in (None, "", {}, []):
            yield {"label": label, "lines": _lines(made[key])}
        if key == "weights_licence":
            seeds = dict.fromkeys(str(one["seed"]) for one in confidence["ranking"])
            yield {"label": mark("Seeds"), "lines": [", ".join(seeds)]}
        if key == "recycles":
            for asked, title in _SEARCHED.items():
                if job.settings.get(asked) not in (None, "", [], {}, False):
                    yield {"label": title, "lines": _lines(job.settings[asked])}


def _lines(value: object) -> list[str]:
    if isinstance(value, Mapping):
        return [f"{name}: {one}" for name, one in value.items()]
    if isinstance(value, (list, tuple)):
        return [str(one) for one in value]
    return [str(value)]


_DOWNLOADS = {
    "structure": mark("Structure (mmCIF)"),
    "confidence": mark("Confidence (JSON)"),
    "pae": mark("Expected errors (NumPy)"),
    "report": mark("Report (one HTML file, works offline)"),
    "alignment": mark("Alignment (A3M)"),
    "paired": mark("Rows paired across chains (A3M)"),
    "templates": mark("Templates and what else was found (JSON)"),
}


def _downloads(files: ResultFiles, job: JobRecord) -> list[dict[str, Any]]:
    offered = [
        {
            "kind": kind,
            "label": label,
            "chain": kind.removeprefix(offer).removeprefix("_"),
            "address": f"/api/v1/jobs/{job.id}/files/{kind}",
            "bytes": record.bytes,
            "name": record.name,
        }
        for offer, label in _DOWNLOADS.items()
        for kind, record in files.records.items()
        # Of a job with several proteins, alignments and templates have the chain's id behind.
        if kind == offer or kind.startswith(f"{offer}_")
    ]
    everything = {
        "kind": "archive",
        "label": mark("Everything (zip)"),
        "chain": "",
        "address": f"/api/v1/jobs/{job.id}/archive",
        "bytes": sum(record.bytes for record in files.records.values()),
        "name": "",
    }
    return [*offered, everything]


def routes(services: Services, authorise: Authorise | None = None) -> APIRouter:
    """Return the addresses below `/jobs/ID/result/`, and the simple viewer's.

    Args:
        services: Parts of the server.
        authorise: Dependency that gives the job where the asker may read it; None for
            `itda.server.security.identity`.
    """
    router = APIRouter(include_in_schema=False)
    allowed = Depends(authorise or _authorise())

    @router.get("/jobs/{job_id}/result/data.json")
    def data(request: Request, sample: Rank = 0, job: Any = allowed) -> Response:
        files = _files(services, job)
        return _tagged(request, files.tag(sample)) or JSONResponse(
            sample_data(files, sample), headers=_headers(files.tag(sample))
        )

    @router.get("/jobs/{job_id}/result/pae.bin")
    def pae(request: Request, sample: Rank = 0, job: Any = allowed) -> Response:
        files = _files(services, job)
        unchanged = _tagged(request, files.tag(sample))
        if unchanged is not None:
            return unchanged
        errors = files.pae(sample)
        if errors is None:
            raise NotFoundError(Message("this family predicts no error between residues"))
        content = pae_map(errors).content
        headers = _headers(files.tag(sample))
        return Response(content, media_type="application/octet-stream", headers=headers)

    @router.get("/jobs/{job_id}/result/structure.cif")
    def structure(request: Request, sample: Rank = 0, job: Any = allowed) -> Response:
        files = _files(services, job)
        kind = files.structure_kind(sample)
        tag = f'"{files.record(kind).digest}"'
        return _tagged(request, tag) or FileResponse(
            files.path(kind), media_type="chemical/x-mmcif", headers=_headers(tag)
        )

    @router.get("/jobs/{job_id}/result/residues.csv")
    def residues(sample: Rank = 0, job: Any = allowed) -> Response:
        table = residue_table(_files(services, job), sample)
        headers = {
            "Content-Disposition": f'attachment; filename="residues_{sample}.csv"',
            "Cache-Control": "private, no-cache",
        }
        return PlainTextResponse(table, media_type="text/csv", headers=headers)

    @router.get(SIMPLE_VIEWER)
    def simple_viewer() -> Response:
        script = package_files("itda.results.report").joinpath("vendor", "3Dmol-min.js")
        headers = {"Cache-Control": "public, max-age=86400"}
        return Response(script.read_bytes(), media_type="text/javascript", headers=headers)

    return router


def _authorise() -> Authorise:
    from itda.server.security.identity import Identity, identity

    def readable(
        request: Request, job_id: str, asker: Annotated[Identity, Depends(identity)]
    ) -> JobRecord:
        # One sentence for both, or it would tell which jobs others have.
        nothing = NotFoundError(Message("there is no job {job_id}", job_id=job_id))
        try:
            job: JobRecord = request.app.state.services.queue.job(job_id)
        except NotFoundError:
            raise nothing from None
        if job.project_id not in asker.project_ids:
            raise nothing
        asker.check(job.project_id, "read")
        return job

    # Annotations are text here, and these names are known in this function only.
    readable.__annotations__ = {
        "request": Request,
        "job_id": str,
        "asker": Annotated[Identity, Depends(identity)],
    }
    return readable


def _files(services: Services, job: JobRecord) -> ResultFiles:
    if job.state is not State.DONE:
        raise NotFoundError(Message("this job has no result"))
    return ResultFiles(services, job)


def _headers(tag: str) -> dict[str, str]:
    return {"ETag": tag, "Cache-Control": "private, no-cache"}


def _tagged(request: Request, tag: str) -> Response | None:
    asked = request.headers.get("if-none-match", "")
    if tag not in asked:
        return None
    return Response(status_code=304, headers=_headers(tag))
