"""Every table of the server.

Times are seconds since 1970 in UTC, so that one clock, real or simulated, holds for both databases.
Keys of rows are `new_id()`: they sort by the time of their making. No name, key or number is ever
used again.
"""

from __future__ import annotations

import secrets
import time

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

ID = String(32)
DOCUMENT = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
COUNTER = BigInteger().with_variant(Integer(), "sqlite")


def new_id() -> str:
    """Return a key of 32 hexadecimal digits: microseconds since 1970, then chance."""
    return f"{time.time_ns() // 1000:014x}{secrets.token_hex(9)}"


# Who ----------------------------------------------------------------------------------------------

organisations = Table(
    "organisations",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("weight", Double, nullable=False, default=1.0),
    Column("created_at", Double, nullable=False),
)

projects = Table(
    "projects",
    metadata,
    Column("id", ID, primary_key=True),
    Column("organisation_id", ID, ForeignKey("organisations.id"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("weight", Double, nullable=False, default=1.0),
    Column("created_at", Double, nullable=False),
    Column("archived_at", Double),
    UniqueConstraint("organisation_id", "name"),
)

users = Table(
    "users",
    metadata,
    Column("id", ID, primary_key=True),
    # In lower case; the local owner's is "owner@localhost".
    Column("email", String(320), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("password_hash", Text),
    Column("is_admin", Boolean, nullable=False, default=False),
    Column("language", String(8)),
    Column("oidc_issuer", Text),
    Column("oidc_subject", String(255)),
    Column("created_at", Double, nullable=False),
    Column("disabled_at", Double),
    UniqueConstraint("oidc_issuer", "oidc_subject"),
)

members = Table(
    "members",
    metadata,
    Column("project_id", ID, ForeignKey("projects.id"), primary_key=True),
    Column("user_id", ID, ForeignKey("users.id"), primary_key=True),
    # "viewer" reads, "member" also submits, "manager" also manages members and tokens.
    Column("role", String(16), nullable=False),
    Column("weight", Double, nullable=False, default=1.0),
)

sessions = Table(
    "sessions",
    metadata,
    # SHA-256 of what the cookie holds.
    Column("id", String(64), primary_key=True),
    Column("user_id", ID, ForeignKey("users.id"), nullable=False),
    Column("csrf_token", String(64), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("address", String(64)),
)

links = Table(
    "links",
    metadata,
    # SHA-256 of what the link holds.
    Column("digest", String(64), primary_key=True),
    Column("user_id", ID, ForeignKey("users.id"), nullable=False, index=True),
    # "sign_in" signs in, "invite" sets the first password, "reset" another one.
    Column("purpose", String(16), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    # Links of the last two purposes work once.
    Column("used_at", Double),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", ID, primary_key=True),
    Column("user_id", ID, ForeignKey("users.id"), nullable=False),
    # The only project that the token reaches; None for all of its user's.
    Column("project_id", ID, ForeignKey("projects.id")),
    Column("name", String(200), nullable=False),
    # SHA-256 of the token; its first characters are kept so that a list can name it.
    Column("digest", String(64), nullable=False, unique=True),
    Column("prefix", String(16), nullable=False),
    # Of "read", "submit", "manage" and "admin", with blanks between.
    Column("scopes", String(64), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("revoked_at", Double),
    Column("last_used_at", Double),
)

audit = Table(
    "audit",
    metadata,
    Column("id", COUNTER, primary_key=True, autoincrement=True),
    Column("time", Double, nullable=False),
    Column("user_id", ID),
    Column("token_id", ID),
    Column("project_id", ID, index=True),
    Column("address", String(64)),
    # Such as "job.submit", "user.sign_in", "token.create".
    Column("action", String(64), nullable=False),
    Column("object_id", String(64)),
    Column("details", DOCUMENT, nullable=False, default=dict),
)

# The queue ----------------------------------------------------------------------------------------

jobs = Table(
    "jobs",
    metadata,
    Column("id", ID, primary_key=True),
    Column("organisation_id", ID, ForeignKey("organisations.id"), nullable=False),
    Column("project_id", ID, ForeignKey("projects.id"), nullable=False),
    Column("user_id", ID, ForeignKey("users.id"), nullable=False),
    # Jobs that came in one request share it.
    Column("submission_id", ID, nullable=False, index=True),
    Column("idempotency_key", String(200)),
    # What was asked under that key, so that the same key with another request is refused.
    Column("request_digest", String(64), nullable=False),
    # Of the first job of a request alone: what of the request gave no job.
    Column("rejected", DOCUMENT),
    Column("position", Integer, nullable=False, default=1),
    Column("name", String(200), nullable=False),
    Column("family", String(64), nullable=False),
    # The job, as `Job.to_dict()` gives it, and the settings of its run.
    Column("document", DOCUMENT, nullable=False),
    Column("settings", DOCUMENT, nullable=False),
    # What the plan says: tokens, bytes and seconds on a device of that kind ("cpu" or "gpu").
    Column("tokens", Integer, nullable=False),
    Column("need_bytes", BigInteger, nullable=False),
    Column("need_seconds", Double, nullable=False),
    Column("device_kind", String(8), nullable=False, default="cpu"),
    # 0 urgent, 1 normal, 2 background.
    Column("priority", Integer, nullable=False, default=1),
    # queued, running, done, failed, cancelled.
    Column("state", String(16), nullable=False),
    Column("created_at", Double, nullable=False),
    # Not to be claimed before; used to wait between attempts.
    Column("not_before", Double, nullable=False, default=0.0),
    # The host that takes nothing else until this job, which waits, has room there.
    Column("held_for", String(255)),
    Column("started_at", Double),
    Column("finished_at", Double),
    Column("cancel_requested_at", Double),
    Column("attempts", Integer, nullable=False, default=0),
    # Attempts that ended with the death of the worker.
    Column("crashes", Integer, nullable=False, default=0),
    # 0 to 1, and what is done now.
    Column("fraction", Double, nullable=False, default=0.0),
    Column("message", String(500), nullable=False, default=""),
    # Of a failed job: kind, problem, hint. Of a job set aside also "log".
    Column("error", DOCUMENT),
    # Of a done job: residues, mean_plddt, ptm, verdict, samples, cached, seconds.
    Column("summary", DOCUMENT),
    # Grows with each change that a reader can see; the ETag is made from it.
    Column("revision", Integer, nullable=False, default=1),
    UniqueConstraint("project_id", "idempotency_key", "position"),
    # Of those that wait alone, in the order in which they are taken.
    Index(
        "ix_jobs_claim",
        "device_kind",
        "priority",
        "project_id",
        "user_id",
        "id",
        sqlite_where=text("state = 'queued'"),
        postgresql_where=text("state = 'queued'"),
    ),
    Index(
        "ix_jobs_held",
        "held_for",
        sqlite_where=text("state = 'queued' AND held_for IS NOT NULL"),
        postgresql_where=text("state = 'queued' AND held_for IS NOT NULL"),
    ),
    Index("ix_jobs_history", "project_id", "id"),
)

leases = Table(
    "leases",
    metadata,
    Column("job_id", ID, ForeignKey("jobs.id"), primary_key=True),
    # A new one for each claim: only its holder may write to the job.
    Column("lease_id", ID, nullable=False, unique=True),
    Column("worker_id", ID, nullable=False, index=True),
    Column("attempt", Integer, nullable=False),
    # Of its job, so that shares and quotas count what runs without reading all jobs.
    Column("organisation_id", ID, nullable=False),
    Column("project_id", ID, nullable=False),
    Column("user_id", ID, nullable=False),
    Column("need_seconds", Double, nullable=False),
    Column("claimed_at", Double, nullable=False),
    Column("heartbeat_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False, index=True),
)

workers = Table(
    "workers",
    metadata,
    Column("id", ID, primary_key=True),
    Column("host", String(255), nullable=False),
    Column("process", Integer, nullable=False),
    Column("executor", String(32), nullable=False),
    Column("device_kind", String(8), nullable=False),
    Column("device", String(200), nullable=False),
    Column("memory_bytes", BigInteger, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("heartbeat_at", Double, nullable=False, index=True),
    # active, draining, gone.
    Column("state", String(16), nullable=False),
)

stages = Table(
    "stages",
    metadata,
    Column("job_id", ID, ForeignKey("jobs.id"), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("position", Integer, nullable=False),
    # running, done, failed, stopped.
    Column("state", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("finished_at", Double),
    Column("seconds", Double),
    Column("cached", Boolean, nullable=False, default=False),
    Column("fraction", Double, nullable=False, default=0.0),
    Column("message", String(500), nullable=False, default=""),
)

events = Table(
    "events",
    metadata,
    Column("id", COUNTER, primary_key=True, autoincrement=True),
    Column("job_id", ID, ForeignKey("jobs.id"), nullable=False),
    Column("time", Double, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("data", DOCUMENT, nullable=False),
    Index("ix_events_job", "job_id", "id"),
)

# Files --------------------------------------------------------------------------------------------

artefacts = Table(
    "artefacts",
    metadata,
    # SHA-256 of the content, which is its name in the folder.
    Column("digest", String(64), primary_key=True),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
)

job_files = Table(
    "job_files",
    metadata,
    Column("job_id", ID, ForeignKey("jobs.id"), primary_key=True),
    # "input" came with the job (its name is the one that the job uses); "output" is its result.
    Column("direction", String(8), primary_key=True),
    # Of outputs: structure, sample_0, …, confidence, pae, report. Of inputs: the name.
    Column("kind", String(255), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("digest", String(64), ForeignKey("artefacts.digest"), nullable=False, index=True),
    Column("bytes", BigInteger, nullable=False),
)

# Shares and books ---------------------------------------------------------------------------------

shares = Table(
    "shares",
    metadata,
    # "organisation", "project" or "user"; a user's share is within one project: "PROJECT:USER".
    Column("level", String(16), primary_key=True),
    Column("owner_id", String(65), primary_key=True),
    # Device seconds, decayed to `updated_at`.
    Column("usage", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
)

ledger = Table(
    "ledger",
    metadata,
    # One line for each attempt that had a lease.
    Column("lease_id", ID, primary_key=True),
    # The books outlive the jobs, so this is no foreign key.
    Column("job_id", ID, nullable=False, index=True),
    Column("organisation_id", ID, nullable=False),
    Column("project_id", ID, nullable=False),
    Column("user_id", ID, nullable=False),
    Column("family", String(64), nullable=False),
    Column("tokens", Integer, nullable=False),
    Column("device_kind", String(8), nullable=False),
    Column("device", String(200), nullable=False),
    Column("started_at", Double, nullable=False),
    Column("finished_at", Double, nullable=False),
    Column("device_seconds", Double, nullable=False),
    # done, failed, cancelled, returned, crashed, set_aside.
    Column("outcome", String(16), nullable=False),
    Index("ix_ledger_project_time", "project_id", "finished_at"),
    Index("ix_ledger_time", "finished_at"),
)

spent = Table(
    "spent",
    metadata,
    # What the ledger adds up to, so that a quota is known without reading a month of it.
    # "organisation", "project" or "user", and which.
    Column("level", String(16), primary_key=True),
    Column("owner_id", ID, primary_key=True),
    Column("device_kind", String(8), primary_key=True),
    # Days since 1970 in UTC, of the end of an attempt.
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("device_seconds", Double, nullable=False),
)

quotas = Table(
    "quotas",
    metadata,
    Column("id", ID, primary_key=True),
    # "organisation", "project" or "user", and which.
    Column("level", String(16), nullable=False),
    Column("owner_id", ID, nullable=False),
    Column("device_kind", String(8), nullable=False),
    Column("device_seconds", Double, nullable=False),
    # "day" or "month", of the calendar in UTC.
    Column("period", String(8), nullable=False),
    UniqueConstraint("level", "owner_id", "device_kind", "period"),
)

state = Table(
    "state",
    metadata,
    # "drain", "secret", "owner".
    Column("key", String(64), primary_key=True),
    Column("value", DOCUMENT, nullable=False),
)
