"""`itda accounts`: users, projects and tokens of a server, from its own machine."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from itda.cli.extras import require_extra
from itda.cli.options import AsJson, Database
from itda.errors import InputError
from itda.language import Message, joined

if TYPE_CHECKING:
    from itda.server.accounts.accounts import Accounts
    from itda.server.accounts.records import Organisation, Project, User

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Users, projects and tokens of a server, from the machine that has its database.",
    pretty_exceptions_enable=False,
)
token_app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Tokens of the REST interface.",
    pretty_exceptions_enable=False,
)
app.add_typer(token_app, name="token")

_DAY = 86400.0

Email = Annotated[str, typer.Argument(metavar="EMAIL", help="Address of the user.")]
ProjectName = Annotated[
    str, typer.Argument(metavar="PROJECT", help="Name or key; ORGANISATION/NAME where not unique.")
]
Weight = Annotated[float, typer.Option(help="Share among its equals; 2 gets twice what 1 gets.")]


@app.callback()
def _accounts(
    context: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The server's folder. (default: ITDA_HOME/server)"),
    ] = None,
    database: Database = None,
) -> None:
    """Keep what was told of the database for the command."""
    context.obj = {"home": home, "database_url": database}


@app.command("add-user")
def add_user(
    context: typer.Context,
    email: Email,
    name: Annotated[str, typer.Option(help="As others see it.")] = "",
    admin: Annotated[bool, typer.Option("--admin", help="Administers the server.")] = False,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read a password in place of giving a link.")
    ] = False,
) -> None:
    """Add a user, and print a link by which the user sets a password."""
    password = _read_password() if password_stdin else None
    accounts = _open(context)
    user = accounts.users.add(email, name, password=password, is_admin=admin)
    typer.echo(f"added {user.email}{', who administers the server' if admin else ''}")
    if password is None:
        _print_link(accounts.password_link(user.id), "a week, once")


@app.command("set-password")
def set_password(
    context: typer.Context,
    email: Email,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read it from standard input.")
    ] = False,
) -> None:
    """Set the password of a user, and sign the user out everywhere."""
    accounts = _open(context)
    user = _user(accounts, email)
    accounts.users.set_password(user.id, _read_password(stdin=password_stdin))
    typer.echo(f"{user.email} has another password and is signed out everywhere")


@app.command("link")
def link(context: typer.Context, email: Email) -> None:
    """Print a link by which a user sets a password; for the local owner, one that signs in."""
    from itda.server.accounts.accounts import OWNER_EMAIL

    accounts = _open(context)
    user = _user(accounts, email)
    if user.email == OWNER_EMAIL:
        _print_link(accounts.ensure_owner().link_token, "an hour")
    else:
        _print_link(accounts.password_link(user.id), "a day or more, once")


@app.command("disable")
def disable(context: typer.Context, email: Email) -> None:
    """Shut a user out: sessions and tokens work no longer. Jobs stay."""
    accounts = _open(context)
    user = _user(accounts, email)
    accounts.users.disable(user.id)
    typer.echo(f"{user.email} is shut out")


@app.command("enable")
def enable(context: typer.Context, email: Email) -> None:
    """Let a user in again."""
    accounts = _open(context)
    user = _user(accounts, email)
    accounts.users.enable(user.id)
    typer.echo(f"{user.email} may sign in")


@app.command("add-organisation")
def add_organisation(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as an institute or a group.")],
    weight: Weight = 1.0,
) -> None:
    """Add an organisation, whose projects share the machine with others' by weight."""
    organisation = _open(context).projects.add_organisation(name, weight=weight)
    typer.echo(f"added {organisation.name}  {organisation.id}")


@app.command("add-project")
def add_project(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as a grant's.")],
    organisation: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose; may be left out where there is one.")
    ] = None,
    weight: Weight = 1.0,
) -> None:
    """Add a project; nothing is readable across projects."""
    accounts = _open(context)
    owner = _organisation(accounts, organisation)
    project = accounts.projects.add(owner.id, name, weight=weight)
    typer.echo(f"added {owner.name}/{project.name}  {project.id}")


@app.command("add-member")
def add_member(
    context: typer.Context,
    project: ProjectName,
    email: Email,
    role: Annotated[
        str, typer.Option(help="viewer reads, member also submits, manager also manages.")
    ] = "member",
) -> None:
    """Make a user a member of a project, or give a member another role."""
    accounts = _open(context)
    found = _project(accounts, project)
    user = _user(accounts, email)
    accounts.projects.set_member(found.id, user.id, role)
    typer.echo(f"{user.email} is a {role} of {found.name}")


@app.command("remove-member")
def remove_member(context: typer.Context, project: ProjectName, email: Email) -> None:
    """Take a user out of a project; jobs stay."""
    accounts = _open(context)
    found = _project(accounts, project)
    user = _user(accounts, email)
    accounts.projects.remove_member(found.id, user.id)
    typer.echo(f"{user.email} is no member of {found.name} any more")


@app.command("list")
def list_accounts(context: typer.Context, json_output: AsJson = False) -> None:
    """List users, organisations and projects with their members."""
    accounts = _open(context)
    users = accounts.users.all()
    organisations = accounts.projects.organisations()
    projects = accounts.projects.all()
    members = {one.id: accounts.projects.members(one.id) for one in projects}
    if json_output:
        typer.echo(
            json.dumps(
                {
                    "users": [asdict(one) for one in users],
                    "organisations": [asdict(one) for one in organisations],
                    "projects": [
                        {
                            **asdict(one),
                            "members": [
                                {"email": it.user.email, "role": it.role, "weight": it.weight}
                                for it in members[one.id]
                            ],
                        }
                        for one in projects
                    ],
                },
                indent=2,
                ensure_ascii=False,
            )
        )
        return
    for user in users:
        notes = [note for note, holds in _notes(user) if holds]
        typer.echo(f"{user.email}  {user.name}{'  (' + ', '.join(notes) + ')' if notes else ''}")
    for organisation in organisations:
        typer.echo(f"\n{organisation.name}  weight {organisation.weight:g}")
        for project in (one for one in projects if one.organisation_id == organisation.id):
            gone = "  (archived)" if project.archived_at else ""
            typer.echo(f"  {project.name}  weight {project.weight:g}  {project.id}{gone}")
            for member in members[project.id]:
                typer.echo(f"    {member.user.email}  {member.role}")


@token_app.command("create")
def create_token(
    context: typer.Context,
    email: Email,
    name: Annotated[str, typer.Option(help="What it is for.")] = "command line",
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="read, submit, manage or admin; may be given again. (default: the first two)"
        ),
    ] = None,
    project: Annotated[
        str | None, typer.Option(metavar="PROJECT", help="The only project that it reaches.")
    ] = None,
    days: Annotated[
        float | None, typer.Option(min=0.001, help="How long it works; without it, until revoked.")
    ] = None,
) -> None:
    """Create a token, and print it; it cannot be shown again."""
    accounts = _open(context)
    user = _user(accounts, email)
    secret, token = accounts.tokens.create(
        user.id,
        name,
        scope or ["read", "submit"],
        project_id=_project(accounts, project).id if project else None,
        expires_at=time.time() + days * _DAY if days else None,
    )
    typer.echo(f"key {token.id}, for {' '.join(sorted(token.scopes))}", err=True)
    typer.echo(secret)


@token_app.command("list")
def list_tokens(context: typer.Context, email: Email, json_output: AsJson = False) -> None:
    """List the tokens of a user."""
    accounts = _open(context)
    tokens = accounts.tokens.of_user(_user(accounts, email).id)
    if json_output:
        shown = [{**asdict(one), "scopes": sorted(one.scopes)} for one in tokens]
        typer.echo(json.dumps(shown, indent=2, ensure_ascii=False))
        return
    now = time.time()
    for one in tokens:
        state = (
            "revoked"
            if one.revoked_at
            else "expired"
            if one.expires_at is not None and one.expires_at <= now
            else "good"
        )
        typer.echo(f"{one.id}  {one.prefix}…  {state}  {' '.join(sorted(one.scopes))}  {one.name}")


@token_app.command("revoke")
def revoke_token(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY", help="As `token list` shows it.")],
) -> None:
    """End a token for good."""
    _open(context).tokens.revoke(key)
    typer.echo("revoked")


def _open(context: typer.Context) -> Accounts:
    with require_extra("server"):
        from itda.server.accounts.accounts import Accounts
        from itda.server.database import migrate
        from itda.server.database.database import Database
        from itda.server.settings import ServerSettings
    told: dict[str, Any] = context.obj
    database = Database(ServerSettings.from_environment(**told).database_url)
    context.call_on_close(database.close)
    migrate.upgrade(database)
    return Accounts(database)


def _user(accounts: Accounts, email: str) -> User:
    found = accounts.users.find(email)
    if found is None:
        raise InputError(
            Message("{email}: there is no such user", email=email),
            hint=Message("`itda accounts list` shows all of them"),
        )
    return found


def _organisation(accounts: Accounts, name: str | None) -> Organisation:
    there = accounts.projects.organisations()
    found = [one for one in there if name is None or name in (one.name, one.id)]
    if len(found) != 1:
        raise InputError(
            Message("{--organisation:{name}}: there is none", name=name)
            if name
            else Message("{--organisation}: which one?"),
            hint=joined(one.name for one in there)
            or Message("`itda accounts add-organisation` adds one"),
        )
    return found[0]


def _project(accounts: Accounts, name: str) -> Project:
    names = {one.id: one.name for one in accounts.projects.organisations()}
    there = accounts.projects.all()
    full = {one.id: f"{names[one.organisation_id]}/{one.name}" for one in there}
    found = [one for one in there if name in (one.id, full[one.id])]
    found = found or [one for one in there if name == one.name]
    if len(found) != 1:
        raise InputError(
            Message(
                "project {name}: there {what} of that name",
                name=name,
                what=Message("is none") if not found else Message("are several"),
            ),
            hint=joined(sorted(full.values())[:10])
            or Message("`itda accounts add-project` adds one"),
        )
    return found[0]


def _read_password(*, stdin: bool = True) -> str:
    if stdin or not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return password


def _print_link(token: str, lasts: str) -> None:
    from itda.server.settings import ServerSettings

    settings = ServerSettings.from_environment()
    address = settings.public_url or f"http://127.0.0.1:{settings.port}"
    typer.echo(f"{address.rstrip('/')}/auth/link?token={token}")
    typer.echo(f"it works for {lasts}", err=True)


def _notes(user: User) -> list[tuple[str, bool]]:
    return [
        ("administrator", user.is_admin),
        ("shut out", user.disabled_at is not None),
        ("has no password yet", not user.has_password and user.oidc_issuer is None),
        (f"account of {user.oidc_issuer}", user.oidc_issuer is not None),
    ]
