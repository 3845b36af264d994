"""Users and projects, as far as clients look them up by name before they ask for something.

Everybody may look up what is theirs, admins everything. Others are refused alike whether the
thing exists or not; most clients then take what they were given for an id.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpResponse
from rest_framework.request import Request

from imagecatalog.identity.api import documents
from imagecatalog.identity.api.views import IdentityView, base, is_admin, user_key
from imagecatalog.identity.models import Project, Role
from imagecatalog.identity.tokens import Valid
from images import errors
from images.http import responses


class Projects(IdentityView):
    def get(self, request: Request, **kwargs: str) -> HttpResponse:
        url = base(request)
        rows = _projects(self.token)
        if "name" in request.GET:
            rows = rows.filter(name=request.GET["name"].replace("\0", ""))
        found = [documents.project(row, url) for row in rows.order_by("name")]
        if not found and not is_admin(self.token):
            raise _refused()
        return responses.json(documents.page("projects", found, f"{url}/projects"))


class OneProject(IdentityView):
    def get(self, request: Request, project_id: str, **kwargs: str) -> HttpResponse:
        row = _projects(self.token).filter(pk=project_id).first()
        if row is None and not is_admin(self.token):
            raise _refused()
        if row is None:
            raise errors.NotFound(f"Could not find project: {project_id[:64]}.")
        return responses.json({"project": documents.project(row, base(request))})


class OneUser(IdentityView):
    def get(self, request: Request, user_id: str, **kwargs: str) -> HttpResponse:
        own = str(self.token.claims.user_id)
        if user_id != own and not is_admin(self.token):
            raise _refused()
        row = get_user_model().objects.filter(pk=user_key(user_id)).first()
        if row is None:
            raise errors.NotFound(f"Could not find user: {user_id[:64]}.")
        return responses.json({"user": _user(row, base(request))})


class Roles(IdentityView):
    def get(self, request: Request, **kwargs: str) -> HttpResponse:
        url = base(request)
        wanted = request.GET.get("name")
        found = [_role(name, url) for name in Role.values if wanted in (None, name)]
        return responses.json(documents.page("roles", found, f"{url}/roles"))


class OneRole(IdentityView):
    def get(self, request: Request, role_id: str, **kwargs: str) -> HttpResponse:
        if role_id not in Role.values:
            raise errors.NotFound(f"Could not find role: {role_id[:64]}.")
        return responses.json({"role": _role(role_id, base(request))})


def _projects(token: Valid) -> QuerySet[Project]:
    if is_admin(token):
        return Project.objects.all()
    return Project.objects.filter(assignments__user=token.claims.user_id)


def _refused() -> errors.Forbidden:
    return errors.Forbidden("You are not authorized to perform the requested action.")


def _user(row: Any, url: str) -> documents.Document:
    return documents.user(row.pk, row.get_username()) | {
        "domain_id": documents.DOMAIN["id"],
        "enabled": row.is_active,
        "options": {},
        "password_expires_at": None,
        "links": {"self": f"{url}/users/{row.pk}"},
    }


def _role(name: str, url: str) -> documents.Document:
    links = {"self": f"{url}/roles/{name}"}
    return {"id": name, "name": name, "domain_id": None, "links": links}
