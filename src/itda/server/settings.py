"""What a server is told: with nothing told, it serves its owner on this machine alone."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from itda.errors import InputError
from itda.language import Message
from itda.network import LOOPBACK_HOSTS
from itda.storage import user_data_folder

MEGABYTE = 2**20

VARIABLES = {
    "database_url": "ITDA_DATABASE",
    "cluster_url": "ITDA_CLUSTER",
    "public_url": "ITDA_PUBLIC_URL",
    "trusted_proxies": "ITDA_TRUSTED_PROXIES",
    "oidc_issuer": "ITDA_OIDC_ISSUER",
    "oidc_client_id": "ITDA_OIDC_CLIENT_ID",
    "oidc_client_secret": "ITDA_OIDC_CLIENT_SECRET",
    "audit_days": "ITDA_AUDIT_DAYS",
}
"""The environment variable of each setting that has one."""

JOB_HOURS = "ITDA_JOB_HOURS"
"""The environment variable of `Limits.job_seconds`."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a request may be, and how often it may come.

    Attributes:
        body_bytes: Largest body of a request; a larger one is refused before it is read.
        expanded_bytes: Largest input once decompressed.
        jobs: Most jobs of one submission.
        requests_per_minute: Of one token or session.
        sign_ins_per_minute: Of one address.
        queued_jobs: Most jobs of a project that wait at once.
        job_seconds: Longest that an attempt at a job may run, in wall time.

    Raises:
        InputError: `job_seconds` is no such time.
    """

    body_bytes: int = 32 * MEGABYTE
    expanded_bytes: int = 64 * MEGABYTE
    jobs: int = 1000
    requests_per_minute: int = 6000
    sign_ins_per_minute: int = 10
    queued_jobs: int = 100_000
    job_seconds: float = 24 * 3600.0

    def __post_init__(self) -> None:
        if not 0 < self.job_seconds < math.inf:
            raise InputError(
                Message("{job_hours}: is no number of hours", job_hours=JOB_HOURS),
                hint=Message("more than 0; 24 unless told"),
            )


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """What a server is told.

    Attributes:
        home: The folder of all its data.
        database_url: `sqlite:///…` or `postgresql+psycopg://…`.
        cluster_url: Where work is done: `local` is one worker process on this machine, `local:4`
            four, `ray` a Ray cluster of this machine's own, `ray://HOST:PORT` or `HOST:PORT` one
            that is there, `none` workers that are started elsewhere with `itda worker`.
        public_url: How browsers reach it; None where that is `http://HOST:PORT`.
        host: Address it listens at.
        port: Port it listens at; 0 for any that is free.
        lease_seconds: How long a worker may be silent before its jobs are given to others.
        most_crashes: Deaths of workers after which a job is set aside.
        limits: What a request may be.
        trusted_proxies: Addresses or networks, with commas, whose `X-Forwarded-For` is believed.
        oidc_issuer: Provider of accounts; None for none.
        oidc_client_id: As the provider knows this server.
        oidc_client_secret: As the provider gave it.
        audit_days: How long lines of the audit log are kept.
    """

    home: Path = field(default_factory=lambda: user_data_folder() / "server")
    database_url: str = ""
    cluster_url: str = "local"
    public_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 8787
    lease_seconds: float = 60.0
    most_crashes: int = 3
    limits: Limits = field(default_factory=Limits)
    trusted_proxies: str = ""
    oidc_issuer: str | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: str | None = field(default=None, repr=False)
    audit_days: float = 400.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "audit_days", _number(self.audit_days))
        if not self.audit_days >= 1:
            raise InputError(
                Message("ITDA_AUDIT_DAYS: is no number of days"),
                hint=Message("at least 1; 400 unless told"),
            )
        if not self.database_url:
            object.__setattr__(self, "database_url", f"sqlite:///{self.home / 'itda.db'}")
        elif self.database_url.startswith(("postgresql://", "postgres://")):
            rest = self.database_url.split("://", 1)[1]
            object.__setattr__(self, "database_url", f"postgresql+psycopg://{rest}")
        elif not self.database_url.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise InputError(
                Message(
                    "database {split}:…: not a database that is known",
                    split=self.database_url.split(":", 1)[0],
                ),
                hint=Message("sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"),
            )

    @property
    def artefact_folder(self) -> Path:
        """Where files of jobs are, named by what they hold."""
        return self.home / "artefacts"

    @property
    def stage_folder(self) -> Path:
        """Where finished stages are kept, so that an interrupted job goes on from them."""
        return self.home / "stages"

    @property
    def alone(self) -> bool:
        """Whether it serves this machine only, with the local owner as the one account."""
        return self.host in LOOPBACK_HOSTS and self.public_url is None

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] = os.environ, **told: object
    ) -> ServerSettings:
        """Return what the environment says, and what is told where it is told."""
        values: dict[str, object] = {
            name: environment[variable]
            for name, variable in VARIABLES.items()
            if environment.get(variable)
        }
        if environment.get(JOB_HOURS):
            values["limits"] = Limits(job_seconds=3600 * _number(environment[JOB_HOURS]))
        values.update({name: value for name, value in told.items() if value is not None})
        return cls(**values)  # type: ignore[arg-type]


def hours_shown(seconds: float) -> str:
    """Write a time that a job takes for people.

    >>> hours_shown(86400), hours_shown(5430), hours_shown(90), hours_shown(1.25)
    ('24 h', '1.5 h', '1.5 min', '1.25 s')
    """
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{round(seconds / length, 1):g} {unit}"
    return f"{seconds:.3g} s"


def _number(text: str | float) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
