"""API views for users, projects and roles, which clients look up to find the id of a name.

Callers can look up their own user and projects; administrators can look up all. Every other look-up
is refused with the same response, whether or not the object exists. After a refusal, most clients
use the name itself as the id.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpResponse
from rest_framework.request import Request

from imagecatalog.identity.api import documents
from imagecatalog.identity.api.views import (
    DOMAIN,
    IdentityViewSet,
    base,
    filter_by_name,
    is_admin,
    own_projects,
    user_key,
)
from imagecatalog.identity.models import Project, Role
from imagecatalog.identity.tokens import Valid
from images import errors
from images.http import responses


class ProjectViewSet(IdentityViewSet):
    """``/v3/projects``: the projects of the caller; for administrators all projects."""

    lookup_url_kwarg = "project_id"
    lookup_value_regex = "[^/]+"

    def list(self, request: Request) -> HttpResponse:
        """Return the caller's projects (all projects for administrators), filtered by ``name``.

        ``name`` is a query parameter. Raises Forbidden if the caller can see no such project.
        """
        url = base(request)
        rows = filter_by_name(_projects(self.token), request)
        projects = [documents.project(row, url) for row in rows.order_by("name")]
        if not projects and not is_admin(self.token):
            raise _refused()
        return responses.json(documents.page("projects", projects, f"{url}/projects"))

    def retrieve(self, request: Request, project_id: str) -> HttpResponse:
        """Return a project in which the caller has a role; administrators can see any project.

        Raises Forbidden for any other project, and NotFound if the caller is an administrator and
        there is no such project.
        """
        row = _projects(self.token).filter(pk=project_id).first()
        if row is None and not is_admin(self.token):
            raise _refused()
        if row is None:
            raise errors.NotFound(f"Could not find project: {project_id[:64]}.")
        return responses.json({"project": documents.project(row, base(request))})


class UserViewSet(IdentityViewSet):
    """``/v3/users``: the user of the caller; for administrators any user."""

    lookup_url_kwarg = "user_id"
    lookup_value_regex = "[^/]+"

    def retrieve(self, request: Request, user_id: str) -> HttpResponse:
        """Return a user: callers can see their own user, administrators any user.

        Raises Forbidden for other users, and NotFound if there is no such user.
        """
        own = str(self.token.claims.user_id)
        if user_id != own and not is_admin(self.token):
            raise _refused()
        row = get_user_model().objects.filter(pk=user_key(user_id)).first()
        if row is None:
            raise errors.NotFound(f"Could not find user: {user_id[:64]}.")
        return responses.json({"user": _user(row, base(request))})


class RoleViewSet(IdentityViewSet):
    """``/v3/roles``: the roles that users can have. All projects have the same roles."""

    lookup_url_kwarg = "role_id"
    lookup_value_regex = "[^/]+"

    def list(self, request: Request) -> HttpResponse:
        """Return all roles, or only the one with the name in the query parameter ``name``."""
        url = base(request)
        name = request.GET.get("name")
        roles = [_role(role, url) for role in Role.values if name in (None, role)]
        return responses.json(documents.page("roles", roles, f"{url}/roles"))

    def retrieve(self, request: Request, role_id: str) -> HttpResponse:
        """Return a role. The id of a role is its name. Raises NotFound for any other id."""
        if role_id not in Role.values:
            raise errors.NotFound(f"Could not find role: {role_id[:64]}.")
        return responses.json({"role": _role(role_id, base(request))})


def _projects(token: Valid) -> QuerySet[Project]:
    if is_admin(token):
        return Project.objects.all()
    return own_projects(token)


def _refused() -> errors.Forbidden:
    return errors.Forbidden("You are not authorized to perform the requested action.")


def _user(row: Any, url: str) -> documents.Document:
    return documents.user(row.pk, row.get_username()) | {
        "domain_id": DOMAIN["id"],
        "enabled": row.is_active,
        "options": {},
        "password_expires_at": None,
        "links": {"self": f"{url}/users/{row.pk}"},
    }


def _role(name: str, url: str) -> documents.Document:
    links = {"self": f"{url}/roles/{name}"}
    return {"id": name, "name": name, "domain_id": None, "links": links}
