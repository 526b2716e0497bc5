"""What travels between a server and those who use it, with examples for the OpenAPI document."""

from itda.remote.wire.inputs import (
    UBIQUITIN,
    ChainGroup,
    FamilyUnderstood,
    Fault,
    Options,
    PlanRequest,
    PriorityName,
    RecordUnderstood,
    Submission,
    Understood,
    Verdict,
)

__all__ = [
    "UBIQUITIN",
    "ChainGroup",
    "FamilyUnderstood",
    "Fault",
    "Options",
    "PlanRequest",
    "PriorityName",
    "RecordUnderstood",
    "Submission",
    "Understood",
    "Verdict",
]
