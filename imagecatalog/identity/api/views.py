"""The base of the identity API's views: errors in Keystone's form, and the token of a request."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request

from imagecatalog.identity import tokens
from imagecatalog.identity.models import Project, Role
from imagecatalog.identity.tokens import Valid
from images import errors, logs
from images.http import public_url, request_body, responses, streaming
from images.http.views import ApiView, ApiViewSet

Row = TypeVar("Row", bound=Model)

DOMAIN = {"id": "default", "name": "Default"}  # the only one


class Unauthorized(errors.ImageError):
    """The request has no valid credentials."""

    code = "unauthorized"

    def __init__(
        self, message: str = "The request you have made requires authentication."
    ) -> None:
        super().__init__(message)


class KeystoneForm(ApiView):
    """A view whose errors have the status codes and the form that Keystone gives them."""

    error_status: ClassVar = {Unauthorized: 401, errors.OverLimit: 403}

    def error_response(
        self, request: HttpRequest, status: int, message: str
    ) -> HttpResponse:
        """Return an error as a JSON document in Keystone's form."""
        return error(status, message)

    def challenge(self, request: HttpRequest) -> str:
        """Return the value of WWW-Authenticate, which names the identity service."""
        return f'Keystone uri="{public_url.base(request)}/identity"'


class IdentityViewSet(ApiViewSet, KeystoneForm):
    """A ViewSet for requests with a token, which is read from X-Auth-Token into ``self.token``."""

    token: Valid

    def perform_authentication(self, request: Request) -> None:
        """Set ``self.token`` to the valid token in X-Auth-Token.

        Raises Unauthorized if it is missing, invalid or expired.
        """
        self.token = require(request)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Read the token, and check the request. Raises Unauthorized without a valid token.

        Raises Invalid for a body where the method has none, and NotFound for NUL in the path.
        """
        super().initial(request, *args, **kwargs)
        if any("\0" in text for text in kwargs.values()):  # PostgreSQL fails on NUL
            raise errors.NotFound("There is nothing with this id.")


class OpenViewSet(IdentityViewSet):
    """A ViewSet for requests without credentials."""

    def perform_authentication(self, request: Request) -> None:
        """Accept the request without a token. Raises Invalid for a body, without reading it."""
        if streaming.has_body(request._request):
            raise errors.Invalid(request_body.NOT_EXPECTED)


class UnknownPathView(KeystoneForm):
    """Every path that the identity API does not have: 404, also for those that Keystone has."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Raise NotFound, whatever the request is."""
        raise errors.NotFound(
            "The identity service of the image catalogue does not have this resource. "
            "It has tokens, application credentials, projects, users and roles."
        )


def require(request: Request) -> Valid:
    """Return the token in X-Auth-Token. Raises Unauthorized if it is missing or not valid."""
    valid = tokens.read(request.META.get("HTTP_X_AUTH_TOKEN", ""))
    if valid is None:
        raise Unauthorized
    identity = valid.identity
    own_id = request._request.request_id  # type: ignore[attr-defined]
    logs.bind(logs.Context(own_id, identity.user, identity.project or "", "identity"))
    return valid


def user_key(text: str) -> int:
    """Return the primary key in a user's id; 0, which no user has, if the text is no id."""
    is_key = text.isascii() and text.isdecimal() and len(text) < 10
    return int(text) if is_key else 0


def is_admin(token: Valid) -> bool:
    """Return whether the token's holder may see other users' resources.

    A credential limited to some actions has no such permission.
    """
    return token.identity.role == Role.ADMIN and token.identity.actions is None


def own_projects(token: Valid) -> QuerySet[Project]:
    """Return the projects of the token's user; with an application credential only its project."""
    claims = token.claims
    projects = Project.objects.filter(assignments__user=claims.user_id)
    if claims.credential is None:
        return projects
    return projects.filter(pk=claims.project)


def filter_by_name(rows: QuerySet[Row], request: Request) -> QuerySet[Row]:
    """Return the rows with the name in the query; all of them if the query has no name."""
    if "name" not in request.GET:
        return rows
    # PostgreSQL fails on NUL.
    return rows.filter(name=request.GET["name"].replace("\0", ""))


def existing(rows: QuerySet[Row]) -> Row:
    """Return the first row of a query for an object that the token names.

    Raises Unauthorized if there is none: it was deleted since the token was read.
    """
    row = rows.first()
    if row is None:
        raise Unauthorized
    return row


def base(request: Request) -> str:
    """Return the URL of the identity service, without a trailing slash."""
    return f"{public_url.base(request._request)}/identity/v3"


def error(status: int, message: str) -> HttpResponse:
    """Return an error document in Keystone's form."""
    title = responses.REASONS.get(status, "Error")
    content = {"code": status, "message": message, "title": title}
    return responses.json({"error": content}, status)
