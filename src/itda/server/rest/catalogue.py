"""Routes of what the server has: models and databases; and of who asks."""

from __future__ import annotations

from fastapi import APIRouter

from itda.errors import ItdaError
from itda.hub.registry import weight_sets
from itda.hub.source import how_to_get
from itda.models.choose_parameters import parameter_schemas
from itda.models.registry import FAMILIES, get_family
from itda.search.databases.registry import Databases
from itda.server.rest.accounts_views import my_project, scope_names, user_view
from itda.server.rest.common import Reader, problems
from itda.server.rest.jobs import Service
from itda.server.security.identity import Identity
from itda.server.services import Services
from itda.version import itda_version
from itda.wire import (
    DatabaseList,
    DatabaseView,
    Me,
    Models,
    ModelView,
    MyProject,
    MyProjects,
)

router = APIRouter()


@router.get(
    "/models", response_model=Models, responses=problems(), tags=["server"], summary="Models"
)
def models(_who: Reader, services: Service) -> Models:
    """Give the model families: what each folds, and whether its weights are on the server."""
    states = services.understanding.family_states()
    found = []
    for name in FAMILIES:
        family = get_family(name)
        weight_set = weight_sets().get(family.weight_set)
        found.append(
            ModelView(
                name=name,
                title=family.title,
                licence=family.licence,
                non_commercial=weight_set is not None and weight_set.licence.non_commercial,
                citation=family.citation,
                available=states[name] not in ("not here", "unknown"),
                weights=states[name],
                how_to_get="" if weight_set is None else how_to_get(weight_set),
                capabilities=family.capabilities.to_dict(),
                parameters=parameter_schemas(family),
            )
        )
    return Models(models=tuple(found))


@router.get(
    "/databases",
    response_model=DatabaseList,
    responses=problems(),
    tags=["server"],
    summary="Databases",
)
def databases(_who: Reader) -> DatabaseList:
    """Give the databases that alignments and templates can be searched in."""
    kept = Databases()
    return DatabaseList(databases=tuple(_database(kept, name) for name in kept.names()))


@router.get("/me", response_model=Me, responses=problems(), tags=["account"], summary="Who asks")
def me(who: Reader, services: Service) -> Me:
    """Give the user, what the token or session may do, and the projects that it reaches."""
    return Me(
        user=user_view(who.user),
        scopes=scope_names(who.scopes),
        projects=_projects(services, who),
        version=itda_version(),
    )


@router.get(
    "/projects",
    response_model=MyProjects,
    responses=problems(),
    tags=["account"],
    summary="Projects",
)
def projects(who: Reader, services: Service) -> MyProjects:
    """Give the projects that the asker can reach, with what is used of their quotas."""
    return MyProjects(projects=_projects(services, who))


def _projects(services: Services, who: Identity) -> tuple[MyProject, ...]:
    return tuple(
        my_project(
            one,
            who.project_ids[one.id],
            services.queue.quota_status(one.id, who.user.id),
        )
        for one in who.projects
    )


def _database(kept: Databases, name: str) -> DatabaseView:
    try:
        found = kept.get(name)
    except ItdaError:
        # What is wrong names files of the server, which are nobody's business here.
        problem = "it is damaged: whoever runs the server looks at it with `itda db check`"
        return DatabaseView(name=name, kind="unknown", sequences=None, digest=None, problem=problem)
    return DatabaseView(
        name=found.name, kind=found.kind, sequences=found.sequences, digest=found.digest
    )
