"""The form of a new prediction: what is asked in it, what is understood of it, what is queued."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError
from sqlalchemy import Connection

from itda.errors import InputError, ItdaError
from itda.language import Message
from itda.models.choose_parameters import parameter_schemas
from itda.models.registry import FAMILIES, get_family
from itda.search.databases.known_folds import NAME as KNOWN_FOLDS
from itda.search.databases.registry import Databases
from itda.server.errors import ForbiddenError
from itda.server.queue.records import JobRecord, Priority
from itda.server.understand import fault_of
from itda.wire import FamilyUnderstood, Options, Understood

if TYPE_CHECKING:
    from itda.server.accounts.records import Project
    from itda.server.pages.visitors import Sent, Visitor
    from itda.server.understand import Upload

NUMBERS = ("samples", "seed", "recycles")
TEMPLATE = "template"
"""Field with structures of the user's own."""
PARAMETER = "parameter_"
"""Begins the name of a field that holds a parameter of a family's own."""


@dataclass(frozen=True)
class Form:
    """What the form of a new prediction holds.

    Attributes:
        text: What was pasted.
        files: What was dropped or chosen.
        family: The chosen family; empty for whichever can do it.
        fallback: The family that was taken because the first could not; no choice of the user's.
        numbers: `samples`, `seed` and `recycles` as they were typed.
        alignment: `PROGRAM:DATABASE` to search, or empty.
        effort: How many candidate sets of templates are tried; empty for the usual.
        templates: Database of structures, or empty.
        template_files: Structures of the user's own to fold after.
        template_chain: Their chain, as it was typed; empty for the one that fits best.
        parameters: Parameters of a family's own as they were typed, by name; none where left empty.
        parameters_of: That family; what was typed for another one is not of the chosen one.
        project_id: Whose the jobs will be; empty for the only one.
        priority: Of `Priority`, as a number.
        key: Of this form, so that it is not sent twice.
    """

    text: str = ""
    files: tuple[Upload, ...] = ()
    family: str = ""
    fallback: str = ""
    numbers: tuple[str, ...] = ("", "", "")
    alignment: str = ""
    effort: str = ""
    templates: str = ""
    template_files: tuple[Upload, ...] = ()
    template_chain: str = ""
    parameters: Mapping[str, str] = dataclasses.field(default_factory=dict)
    parameters_of: str = ""
    project_id: str = ""
    priority: int = int(Priority.NORMAL)
    key: str = dataclasses.field(default_factory=lambda: secrets.token_hex(16))

    @property
    def given(self) -> bool:
        """Whether there is anything to understand."""
        return bool(self.text.strip() or self.files)

    @property
    def all_files(self) -> tuple[Upload, ...]:
        """What was chosen as input, and as template."""
        return (*self.files, *self.template_files)

    @property
    def has_options(self) -> bool:
        """Whether anything but the defaults is asked for."""
        return any((*self.numbers, self.alignment, self.templates, self.template_files)) or (
            self.effort not in ("", "normal")
        )

    def options(self, family: str) -> Options:
        """Return how a family is to fold it.

        Raises:
            InputError: A number is none, or out of its range.
        """
        typed = zip(NUMBERS, self.numbers, strict=True)
        values: dict[str, object] = {name: number for name, number in typed if number}
        values["family"] = family
        if self.alignment:
            program, _, database = self.alignment.partition(":")
            values |= {"msa": program, "databases": (database,)}
        if self.effort:
            values["effort"] = self.effort
        if self.templates:
            values["templates"] = self.templates
        if self.template_files:
            behind = f":{self.template_chain}" if self.template_chain else ""
            values["template"] = tuple(f"{file.name}{behind}" for file in self.template_files)
        if self.parameters and family == self.parameters_of:
            values["parameters"] = {
                name: _typed(name, text) for name, text in self.parameters.items()
            }
        try:
            return Options.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            raise InputError(
                Message("{first}: {first_2}", first=first["loc"][0], first_2=first["msg"])
            ) from error


def _typed(name: str, text: str) -> object:
    """Read what was typed: a list as JSON, and text as it is, which stands for a number too."""
    if not text.startswith("["):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(
            Message("{--parameter:{name}}: the value is no JSON", name=name),
            hint=Message('write lists as ["a", "b"]'),
        ) from error


@dataclass(frozen=True)
class Answer:
    """What was understood of a form.

    Attributes:
        understood: All of it.
        family: The family that is chosen now; None where none can do any of it.
        is_fallback: Whether it was taken because another could not.
    """

    understood: Understood
    family: FamilyUnderstood | None
    is_fallback: bool


def form_of(sent: Sent) -> Form:
    """Return the form that a browser sent.

    Raises:
        InputError: The priority is none.
    """
    priority = sent.text("priority") or str(int(Priority.NORMAL))
    if priority not in {str(int(one)) for one in Priority}:
        raise InputError(Message("priority: {priority!r} is none", priority=priority[:40]))
    key = sent.text("key")[:64]
    return Form(
        text=sent.fields.get("text", "").replace("\r\n", "\n"),
        files=tuple(
            file
            for name, files in sent.files_of.items()
            for file in files
            if name != TEMPLATE and (file.content or file.name)
        ),
        template_files=sent.files_of.get(TEMPLATE, ()),
        template_chain=sent.text("template_chain")[:40],
        family=sent.text("family")[:64],
        fallback=sent.text("fallback")[:64],
        numbers=tuple(sent.text(name)[:20] for name in NUMBERS),
        alignment=sent.text("alignment")[:100],
        effort=sent.text("effort")[:20],
        templates=sent.text("templates")[:100],
        parameters={
            name.removeprefix(PARAMETER): sent.text(name)[:1000]
            for name in sent.fields
            if name.startswith(PARAMETER) and sent.text(name)
        },
        parameters_of=sent.text("parameters_of")[:64],
        project_id=sent.text("project")[:64],
        priority=int(priority),
        **({"key": key} if key else {}),
    )


def answer_to(visitor: Visitor, form: Form) -> Answer | None:
    """Return what is understood of a form; None where it is empty.

    Where the chosen family can do nothing of it, the first that can is taken instead.
    """
    if not form.given:
        return None
    wish = "" if form.family == form.fallback else form.family
    understood = _understand(visitor, form, wish or Options().family)
    is_fallback = False
    if not understood.accepted and (other := _first_able(understood)) is not None:
        understood = _understand(visitor, form, other)
        is_fallback = True
    chosen = next((one for one in understood.families if one.name == understood.family), None)
    return Answer(understood, chosen if understood.ok else None, is_fallback)


def _understand(visitor: Visitor, form: Form, family: str) -> Understood:
    try:
        options = form.options(family)
    except ItdaError as error:
        return Understood(family=family, problems=(fault_of(error),))
    return visitor.services.understanding.understand(form.text, form.all_files, options)


def _first_able(understood: Understood) -> str | None:
    able = [one for one in understood.families if one.available and one.able]
    best = max(able, key=lambda one: one.able, default=None)
    return None if best is None else best.name


def submit(visitor: Visitor, form: Form) -> list[JobRecord]:
    """Queue what a form asks for.

    Raises:
        ItdaError: It cannot be read, folded or taken; nothing is queued then.
    """
    who, services = visitor.who, visitor.services
    project = who.project(form.project_id or None, "submit")
    priority = Priority(form.priority)
    if priority is Priority.URGENT and not who.may(project.id, "manage"):
        raise ForbiddenError(
            Message("priority urgent: is for managers of the project"),
            hint=Message("leave it at normal"),
        )
    answer = answer_to(visitor, form)
    if answer is None:
        raise InputError(
            Message("there is no record"), hint=Message("paste a sequence, or choose a file")
        )
    family = form.family or answer.understood.family
    if form.parameters and form.parameters_of != family:
        raise InputError(
            Message(
                "parameters of {given} are filled in, and {family} is chosen",
                given=form.parameters_of,
                family=family,
            ),
            hint=Message("read the input again; then the fields are those of the chosen one"),
        )
    prepared = services.understanding.prepare(
        form.text, form.all_files, form.options(family), artefacts=services.artefacts
    )

    def write_down(connection: Connection, made: list[JobRecord]) -> None:
        for one in made:
            services.accounts.log.add(
                connection, "job.submit", by=who.actor, project_id=project.id, object_id=one.id
            )

    return services.queue.submit(
        list(prepared),
        organisation_id=project.organisation_id,
        project_id=project.id,
        user_id=who.user.id,
        priority=priority,
        idempotency_key=_key(form, family),
        also=write_down,
    )


def _key(form: Form, family: str) -> str:
    """Return a key by which the same form, sent twice, gives the same jobs."""
    digest = hashlib.sha256()
    asked = [form.text, family, *form.numbers, form.alignment, form.templates, form.priority]
    asked += [form.effort, dict(form.parameters), form.template_chain, len(form.template_files)]
    digest.update(json.dumps([form.key, *asked]).encode("utf-8", "surrogatepass"))
    for file in form.all_files:
        digest.update(hashlib.sha256(file.content).digest() + file.name.encode())
    return f"page-{digest.hexdigest()[:40]}"


@dataclass(frozen=True)
class ParameterField:
    """A parameter of a family's own, as the form asks for it.

    Attributes:
        name: As every face calls it.
        description: What it does, in English.
        default: What holds where it is left empty.
        choices: All values that there are, where these are few; else none.
        typed: What was typed.
    """

    name: str
    description: str
    default: str
    choices: tuple[str, ...]
    typed: str


def family_of_parameters(form: Form, answer: Answer | None) -> str:
    """Return whose parameters the form asks for: of the chosen family.

    Where a wrong one left no family to choose, it is asked for again.
    """
    if answer is None:
        return ""
    if answer.family is not None:
        return answer.family.name
    return form.parameters_of if form.parameters_of in FAMILIES else ""


def parameter_fields(form: Form, family: str) -> list[ParameterField]:
    """Return what the form asks for beside its options, of a family that has parameters."""
    typed = form.parameters if family == form.parameters_of else {}
    return [
        ParameterField(
            name,
            str(schema.get("description", "")),
            _written(schema.get("default")),
            tuple(map(_written, schema.get("enum", ()))),
            typed.get(name, ""),
        )
        for name, schema in parameter_schemas(get_family(family)).items()
    ]


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def sequence_searches() -> list[tuple[str, str]]:
    """Return what can be searched for alignments: the value of the choice, and its name."""
    return [
        (f"{'mmseqs' if one.has_mmseqs else 'hmmer'}:{one.name}", one.name)
        for one in Databases().list()
        if one.kind == "sequences"
    ]


def structure_searches() -> list[str]:
    """Return the databases that templates can be taken from beside the library."""
    return [
        one.name
        for one in Databases().list()
        if one.kind == "structures" and one.name != KNOWN_FOLDS
    ]


def open_projects(visitor: Visitor) -> Sequence[Project]:
    """Return the projects that the visitor may submit to."""
    return [one for one in visitor.who.projects if visitor.who.may(one.id, "submit")]
