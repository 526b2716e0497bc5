"""The server under a steady load: errors, how long answers take, and how its memory grows.

    python benchmarks/soak.py --minutes 20 --rate 50

A real `itda serve` on loopback with the shipped weights. Requests are sent by the clock, whether or
not earlier ones were answered, so that a slow server is not spared: 30 % ask for the state of a
job, 20 % for a list, 15 % for a page, 15 % for a structure, 10 % for confidences, 5 % for what an
input would cost, and the rest for health and usage. A job is submitted every 30 seconds meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import psutil

from itda.bench.record import provenance, write_record

RESULTS = Path(__file__).parent / "results"
UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"
SUBMIT_EVERY_SECONDS = 30.0
MEMORY_EVERY_SECONDS = 10.0
TIMEOUT_SECONDS = 30.0


class Server:
    """`itda serve` in a folder of its own; `url` and `link` once it serves."""

    def __init__(self, home: Path, *options: str) -> None:
        environment = {**os.environ, "ITDA_HOME": str(home), "ITDA_CACHE": str(home / "cache")}
        command = [sys.executable, "-m", "itda", "serve", "--port", "0", "--no-browser", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert self.process.stdout is not None
        said = ""
        for line in self.process.stdout:
            said += line
            found = re.search(r"(http://\S+)/auth/link\?token=(\S+)", said)
            if found:
                self.url, self.token = found.groups()
                self.link = found.group(0)
                return
        raise RuntimeError(f"the server did not start: {said}")

    def memory_bytes(self) -> int:
        """Resident memory of the server alone, without its workers."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def workers_memory_bytes(self) -> int:
        children = psutil.Process(self.process.pid).children(recursive=True)
        return sum(int(child.memory_info().rss) for child in children if child.is_running())

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


class Load:
    """Requests by the clock, and what came of each."""

    def __init__(self, client: httpx.AsyncClient, headers: dict[str, str]) -> None:
        self.client = client
        self.headers = headers
        self.jobs: list[str] = []
        self.done: list[str] = []
        self.milliseconds: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.late_seconds = 0.0

    def draw(self) -> tuple[str, str, Any]:
        """Return method, path and JSON body of a request."""
        chance = random.random()
        job = random.choice(self.jobs)
        done = random.choice(self.done or self.jobs)
        for share, request in (
            (0.30, ("GET", f"/api/v1/jobs/{job}", None)),
            (0.20, ("GET", "/api/v1/jobs?limit=20", None)),
            (0.05, ("GET", "/", None)),
            (0.05, ("GET", f"/jobs/{done}", None)),
            (0.05, ("GET", "/jobs", None)),
            (0.15, ("GET", f"/api/v1/jobs/{done}/structure", None)),
            (0.10, ("GET", f"/api/v1/jobs/{done}/confidence", None)),
            (0.05, ("POST", "/api/v1/plan", {"input": f">a\n{UBIQUITIN}\n", "family": "mini"})),
            (0.03, ("GET", "/api/v1/usage", None)),
        ):
            if chance < share:
                return request
            chance -= share
        return ("GET", "/readyz", None)

    async def send(self, method: str, path: str, body: Any) -> None:
        kind = f"{method} {re.sub('[0-9a-f]{32}', '{id}', path.split('?')[0])}"
        began = time.perf_counter()
        try:
            headers = self.headers if path.startswith("/api") else {}
            answer = await self.client.request(method, path, json=body, headers=headers)
        except httpx.HTTPError as error:
            self.errors[f"{kind}: {type(error).__name__}"] += 1
            return
        self.milliseconds.append((time.perf_counter() - began) * 1000)
        self.statuses[str(answer.status_code)] += 1
        if answer.status_code >= 400:
            self.errors[f"{kind}: {answer.status_code}"] += 1

    async def submit(self, number: int) -> None:
        sequence = UBIQUITIN[number % 30 :]
        body = {"input": f">soak_{number}\n{sequence}\n", "family": "mini"}
        answer = await self.client.post("/api/v1/jobs", json=body, headers=self.headers)
        answer.raise_for_status()
        self.jobs += [job["id"] for job in answer.json()["jobs"]]

    async def refresh(self) -> None:
        answer = await self.client.get("/api/v1/jobs?state=done&limit=100", headers=self.headers)
        answer.raise_for_status()
        self.done = [job["id"] for job in answer.json()["jobs"]]


async def soak(server: Server, minutes: float, rate: float) -> dict[str, Any]:
    """Send the load and return what came of it."""
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=50)
    async with httpx.AsyncClient(
        base_url=server.url, limits=limits, timeout=TIMEOUT_SECONDS, follow_redirects=True
    ) as client:
        # The link opens a session; a token is made with it for the REST interface.
        page = await client.get(server.link)
        page.raise_for_status()
        csrf = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        assert csrf is not None, "the page has no CSRF token"
        made = await client.post(
            "/api/v1/tokens",
            json={"name": "soak", "scopes": ["read", "submit"]},
            headers={"X-CSRF-Token": csrf.group(1)},
        )
        made.raise_for_status()
        load = Load(client, {"Authorization": f"Bearer {made.json()['token']}"})
        await load.submit(0)
        while not load.done:
            await asyncio.sleep(0.5)
            await load.refresh()
        memory: list[dict[str, float]] = []
        tasks: set[asyncio.Task[None]] = set()
        began = time.monotonic()
        submitted, sampled = 1, 0
        for number in range(int(minutes * 60 * rate)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            load.late_seconds = max(load.late_seconds, time.monotonic() - due)
            task = asyncio.create_task(load.send(*load.draw()))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            passed = time.monotonic() - began
            if passed >= submitted * SUBMIT_EVERY_SECONDS:
                await load.submit(submitted)
                await load.refresh()
                submitted += 1
            if passed >= sampled * MEMORY_EVERY_SECONDS:
                sampled += 1
                memory.append(
                    {
                        "seconds": round(passed, 1),
                        "server_megabytes": round(server.memory_bytes() / 1e6, 1),
                        "workers_megabytes": round(server.workers_memory_bytes() / 1e6, 1),
                    }
                )
                if sampled % 6 == 0:
                    print(f"{passed:.0f} s: {dict(load.statuses)} {memory[-1]}", flush=True)
        await asyncio.gather(*tasks)
    return summary(load, memory, minutes, rate, submitted)


def summary(
    load: Load, memory: list[dict[str, float]], minutes: float, rate: float, submitted: int
) -> dict[str, Any]:
    times = sorted(load.milliseconds)
    sent = len(times) + sum(
        count for name, count in load.errors.items() if not name.rsplit(": ", 1)[1].isdigit()
    )
    failed = sum(load.errors.values())

    def quantile(share: float) -> float:
        return round(times[min(len(times) - 1, int(share * len(times)))], 2)

    # The first tenth warms caches and loads code.
    settled = memory[len(memory) // 10 :]
    first, last = settled[0], settled[-1]
    hours = (last["seconds"] - first["seconds"]) / 3600
    return {
        "minutes": minutes,
        "requests_per_second": rate,
        "requests": sent,
        "error_rate": failed / sent,
        "errors": dict(load.errors),
        "statuses": dict(load.statuses),
        "milliseconds": {f"p{share}": quantile(share / 100) for share in (50, 90, 95, 99, 99.9)},
        "slowest_milliseconds": round(times[-1], 1),
        "latest_send_seconds": round(load.late_seconds, 3),
        "jobs_submitted": submitted,
        "jobs_done": len(load.done),
        "server_megabytes": {
            "settled": first["server_megabytes"],
            "end": last["server_megabytes"],
            "growth_per_hour": round(
                (last["server_megabytes"] - first["server_megabytes"]) / hours, 1
            )
            if hours
            else None,
        },
        "memory": memory,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--out", type=Path, default=RESULTS / "soak.json")
    parser.add_argument("options", nargs="*", help="of `itda serve`, such as --database=URL")
    arguments = parser.parse_args()
    began = provenance()
    random.seed(0)
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), *arguments.options)
        try:
            values = asyncio.run(soak(server, arguments.minutes, arguments.rate))
        finally:
            values_status = server.stop()
    values["exit_status_of_the_server"] = values_status
    write_record(arguments.out, "soak", values, began=began)
    print({key: value for key, value in values.items() if key != "memory"})


if __name__ == "__main__":
    main()
