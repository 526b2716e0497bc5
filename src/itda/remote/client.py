"""`itda.Client`: a server's jobs from Python.

>>> import itda
>>> with itda.Client("http://127.0.0.1:8787", "itda_…") as client:  # doctest: +SKIP
...     job = client.submit(Path("ubiquitin.fasta")).jobs[0]
...     job = client.wait(job)
...     client.download(job, Path("results"))
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx
from pydantic import ValidationError

from itda.errors import InputError
from itda.job.model import Job
from itda.job.problems import explain
from itda.language import Message
from itda.remote.download import save
from itda.remote.errors import NotFoundError
from itda.remote.following import Follower
from itda.remote.packing import Packed, pack, pack_templates
from itda.remote.profile import find_profile
from itda.remote.transport import Transport
from itda.wire import (
    DatabaseList,
    EventView,
    Files,
    FileView,
    JobDetail,
    JobPage,
    JobView,
    Me,
    Models,
    Options,
    PriorityName,
    Stages,
    StageView,
    StateName,
    Submitted,
    Understood,
    Usage,
)

TIMEOUT_SECONDS = 60.0
_KEY = re.compile(r"[0-9a-f]{32}")

Source = str | Path | Job | Sequence[Job]
"""Text of an input (or a sequence alone), a file, or jobs."""


class Client:
    """A server, and who asks it.

    Args:
        url: Such as `https://itda.example.org`; else `ITDA_URL`, else of `itda remote login`.
        token: `itda_…`; else `ITDA_TOKEN`, else of `itda remote login`.
        timeout: Seconds without a sign of the server after which a request is given up.
        http: Sends requests; one of its own unless told.
        sleep: Waits so many seconds.

    Raises:
        InputError: No server or no token is known.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout: float = TIMEOUT_SECONDS,
        http: httpx.Client | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        profile = find_profile(url, token)
        self._transport = Transport(
            profile.url, profile.token, timeout=timeout, http=http, sleep=sleep
        )

    @property
    def url(self) -> str:
        """Of the server."""
        return self._transport.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._transport.close()

    def submit(
        self,
        source: Source,
        *,
        files: Sequence[Path] = (),
        project: str | None = None,
        priority: PriorityName = "normal",
        idempotency_key: str | None = None,
        **options: Any,
    ) -> Submitted:
        """Queue the jobs of an input.

        Args:
            source: What to fold. Files that jobs name are sent along.
            files: Further files: alignments and profiles called after jobs.
            project: Key of the project; may be left out where there is one only.
            priority: `urgent` is for managers of the project.
            idempotency_key: Sent twice, it gives the same jobs; a new one unless told.
            options: Fields of `itda.wire.Options`: `family`, `samples`, `seed`, …. Files of
                `template` are those of this machine, and are sent along.

        Returns:
            The jobs, and the records that gave none.

        Raises:
            InputError: Nothing of the input can be folded, or an option is wrong.
            CapabilityError: The family cannot fold it.
            QuotaError: A quota is used up.
            RemoteError: The server refused it for another reason.
        """
        fields: dict[str, Any] = {"priority": priority}
        if project is not None:
            fields["project"] = project
        return self._transport.post(
            "/jobs",
            Submitted,
            again=True,
            headers={"Idempotency-Key": idempotency_key or secrets.token_hex(16)},
            **_body(pack(source, files), options, fields),
        )

    def plan(self, source: Source, *, files: Sequence[Path] = (), **options: Any) -> Understood:
        """Say what an input holds, who can fold it, at what cost, and when it would start.

        Args:
            source: What would be folded.
            files: Further files.
            options: As for `submit`.
        """
        return self._transport.post(
            "/plan", Understood, again=True, **_body(pack(source, files), options, {})
        )

    def job(self, job: str | JobView) -> JobDetail:
        """Look at a job."""
        return self._transport.get(f"/jobs/{_key(job)}", JobDetail)

    def jobs(
        self,
        *,
        project: str | None = None,
        states: Sequence[StateName] = (),
        text: str = "",
        page: int = 100,
    ) -> Iterator[JobView]:
        """Yield jobs, newest first.

        Args:
            project: Only this one's; of all projects unless told.
            states: Only these.
            text: Only where the name holds it.
            page: How many are asked for at once.
        """
        query: dict[str, Any] = {"limit": page}
        if project is not None:
            query["project"] = project
        if states:
            query["state"] = list(states)
        if text:
            query["text"] = text
        while True:
            found = self._transport.get("/jobs", JobPage, params=query)
            yield from found.jobs
            if found.next is None:
                return
            query["before"] = found.next

    def stages(self, job: str | JobView) -> tuple[StageView, ...]:
        """Return the stages of a job so far."""
        return self._transport.get(f"/jobs/{_key(job)}/stages", Stages).stages

    def events(self, job: str | JobView, *, after: int = 0) -> Iterator[EventView]:
        """Yield what happened to a job and what happens, until it ends.

        A connection that breaks is made again, and no event is lost or told twice.

        Args:
            job: Which.
            after: Only events with a larger `id`.
        """
        for told in Follower(self._transport, _key(job), after=after).follow():
            if isinstance(told, EventView):
                yield told

    def wait(
        self,
        job: str | JobView,
        *,
        progress: Callable[[JobView], None] | None = None,
        timeout: float | None = None,
    ) -> JobView:
        """Wait until a job ends, and return it; it may be done, failed or cancelled.

        Args:
            job: Which.
            progress: Called whenever it changes.
            timeout: Seconds after which to give up; the job goes on.

        Raises:
            TimeoutError: It has not ended by then.
            NotFoundError: It was removed meanwhile.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        follower = Follower(self._transport, _key(job), deadline=deadline)
        for told in follower.follow():
            if isinstance(told, JobView):
                if progress is not None:
                    progress(told)
                if told.ended:
                    return told
        return self.job(job)

    def cancel(self, job: str | JobView) -> JobView:
        """End a job; the worker of a running one is told to stop."""
        return self._transport.post(f"/jobs/{_key(job)}/cancel", JobView)

    def retry(self, job: str | JobView) -> JobView:
        """Queue a failed or cancelled job again."""
        return self._transport.post(f"/jobs/{_key(job)}/retry", JobView)

    def remove(self, job: str | JobView) -> None:
        """Remove a job that ended, with its files."""
        self._transport.request("DELETE", f"/jobs/{_key(job)}", again=False)

    def files(self, job: str | JobView) -> tuple[FileView, ...]:
        """Return the result files of a job."""
        return self._transport.get(f"/jobs/{_key(job)}/files", Files).files

    def download(
        self,
        job: str | JobView,
        folder: Path | str,
        *,
        kinds: Sequence[str] = (),
        overwrite: bool = False,
    ) -> dict[str, Path]:
        """Write the result files of a job to a folder, each checked by its digest.

        Args:
            job: Which; it must be done.
            folder: Where to; made if missing.
            kinds: Only these: `structure`, `confidence`, `pae`, `report`, `alignment`,
                `templates`, `sample_0`, ….
            overwrite: Replace files of the same name that hold something else.

        Returns:
            The files, by what they are.

        Raises:
            NotFoundError: The job has no files, or not all of those kinds.
            OutputError: A file cannot be written, or holds something else.
        """
        found = {file.kind: file for file in self.files(job)}
        missing = [kind for kind in kinds if kind not in found]
        if missing or not found:
            what = (
                Message("has no file {missing!r}", missing=missing[0])
                if missing
                else Message("has no files")
            )
            raise NotFoundError(
                Message("job {job}: {what}", job=_key(job), what=what),
                hint=Message("it has {found:,}", found=found)
                if found
                else Message("it is {state}", state=self.job(job).state),
                status=404,
            )
        wanted = [found[kind] for kind in kinds] if kinds else list(found.values())
        return {
            file.kind: save(self._transport, file, Path(folder), overwrite=overwrite)
            for file in wanted
        }

    def structure(self, job: str | JobView, *, rank: int | None = None) -> str:
        """Return the best structure, or the one of a rank, as mmCIF."""
        query = {} if rank is None else {"rank": rank}
        return self._transport.request("GET", f"/jobs/{_key(job)}/structure", params=query).text

    def confidence(self, job: str | JobView) -> dict[str, Any]:
        """Return what `NAME.confidence.json` holds."""
        answer = self._transport.request("GET", f"/jobs/{_key(job)}/confidence")
        found: dict[str, Any] = answer.json()
        return found

    def models(self) -> Models:
        """Return the model families of the server."""
        return self._transport.get("/models", Models)

    def databases(self) -> DatabaseList:
        """Return the search databases of the server."""
        return self._transport.get("/databases", DatabaseList)

    def me(self) -> Me:
        """Return who asks, and what the token may do."""
        return self._transport.get("/me", Me)

    def usage(
        self, *, project: str | None = None, start: str | None = None, end: str | None = None
    ) -> Usage:
        """Return what was used.

        Args:
            project: Only this one's.
            start: First day, ISO 8601; the first of this month unless told.
            end: First day that is not counted; tomorrow unless told.
        """
        return self._transport.get("/usage", Usage, params=_given(project, start, end))

    def usage_csv(
        self, *, project: str | None = None, start: str | None = None, end: str | None = None
    ) -> str:
        """Return the same as CSV."""
        return self._transport.request("GET", "/usage.csv", params=_given(project, start, end)).text


def _given(project: str | None, start: str | None, end: str | None) -> dict[str, str]:
    asked = {"project": project, "start": start, "end": end}
    return {name: value for name, value in asked.items() if value is not None}


def _body(packed: Packed, options: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    template = options.get("template", ())
    given = [template] if isinstance(template, str | Path) else list(template)
    if given:
        texts, packed = pack_templates(given, packed)
        options = {**options, "template": texts}
    try:
        told = Options(**options).model_dump(mode="json", exclude_unset=True)
    except ValidationError as error:
        raise explain(error) from error
    if not packed.files:
        return {"json": {"input": packed.text, **told, **fields}}
    form = {name: _form_value(value) for name, value in {**told, **fields}.items()}
    if packed.text:
        form["input"] = packed.text
    return {"data": form, "files": packed.files}


def _form_value(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return json.dumps(value)
    if isinstance(value, list | tuple):
        return [str(one) for one in value]
    return str(value)


def _key(job: str | JobView) -> str:
    key = job if isinstance(job, str) else job.id
    if not _KEY.fullmatch(key):
        raise InputError(
            Message("job {key!r}: is no key of a job", key=key),
            hint=Message("keys have 32 hexadecimal digits; `itda remote list` shows them"),
        )
    return key
