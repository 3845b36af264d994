"""Base classes and helpers of the identity API's views: errors, and the token of a request."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request

from imagecatalog.identity import tokens
from imagecatalog.identity.models import Project, Role
from imagecatalog.identity.tokens import Valid
from images import errors, logs, units
from images.http import public_url, request_body, responses, streaming
from images.http.views import ApiView, ApiViewSet

Row = TypeVar("Row", bound=Model)

DOMAIN = {"id": "default", "name": "Default"}  # the only one


class Unauthorized(errors.ImageError):
    """The error (401) for a request without valid credentials."""

    code = "unauthorized"

    def __init__(
        self, message: str = "The request you have made requires authentication."
    ) -> None:
        super().__init__(message)


class KeystoneForm(ApiView):
    """The base class of views whose errors have Keystone's status codes and JSON format."""

    error_status: ClassVar = {Unauthorized: 401, errors.OverLimit: 403}

    def error_response(
        self, request: HttpRequest, status: int, message: str
    ) -> HttpResponse:
        """Return an error as a JSON document in Keystone's format."""
        return error(status, message)

    def challenge(self, request: HttpRequest) -> str:
        """Return the value of WWW-Authenticate, which has the URL of the identity service."""
        return f'Keystone uri="{public_url.base(request)}/identity"'


class IdentityViewSet(ApiViewSet, KeystoneForm):
    """The base class of the ViewSets whose requests need a token.

    ``self.token`` is the valid token in X-Auth-Token.
    """

    token: Valid

    def perform_authentication(self, request: Request) -> None:
        """Set ``self.token`` to the valid token in X-Auth-Token.

        Raises Unauthorized if it is missing, invalid or expired.
        """
        self.token = require(request)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Read the token, and check the request.

        Raises Unauthorized without a valid token, Invalid for a body in a request that must not
        have one, NotFound for a NUL character in the path.
        """
        super().initial(request, *args, **kwargs)
        if any("\0" in text for text in kwargs.values()):  # PostgreSQL fails on NUL
            raise errors.NotFound("There is nothing with this id.")


class OpenViewSet(IdentityViewSet):
    """The base class of the ViewSets whose requests need no token."""

    def perform_authentication(self, request: Request) -> None:
        """Accept the request without a token. Raises Invalid if the request has a body."""
        if streaming.has_body(request._request):
            raise errors.Invalid(request_body.NOT_EXPECTED)


class UnknownPathView(KeystoneForm):
    """The view that answers 404 for every path that the identity API does not have.

    Keystone has some of these paths.
    """

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Raise NotFound for every request."""
        raise errors.NotFound(
            "The identity service of the image catalogue does not have this resource. "
            "It has tokens, application credentials, projects, users and roles."
        )


def require(request: Request) -> Valid:
    """Return the valid token in X-Auth-Token. Raises Unauthorized if there is none.

    Also adds the token's user and project to the log records of the request.
    """
    valid = tokens.read(request.META.get("HTTP_X_AUTH_TOKEN", ""))
    if valid is None:
        raise Unauthorized
    identity = valid.identity
    own_id = request._request.request_id  # type: ignore[attr-defined]
    logs.bind(logs.Context(own_id, identity.user, identity.project or "", "identity"))
    return valid


def user_key(text: str) -> int:
    """Convert a user id in text form to a primary key; 0, which no user has, for an invalid id."""
    return units.parse_digits(text, 9) or 0


def is_admin(token: Valid) -> bool:
    """Return whether the token gives permission to see other users and projects.

    True if its role is ``admin`` and it is not limited to some actions.
    """
    return token.identity.role == Role.ADMIN and token.identity.actions is None


def own_projects(token: Valid) -> QuerySet[Project]:
    """Return the projects in which the token's user has a role.

    For a token of an application credential, this is only the project of the credential.
    """
    claims = token.claims
    projects = Project.objects.filter(assignments__user=claims.user_id)
    if claims.credential is None:
        return projects
    return projects.filter(pk=claims.project)


def filter_by_name(rows: QuerySet[Row], request: Request) -> QuerySet[Row]:
    """Return the rows whose name is the query parameter ``name`` of the request.

    Returns all rows if the request has no such parameter.
    """
    if "name" not in request.GET:
        return rows
    # PostgreSQL fails on NUL.
    return rows.filter(name=request.GET["name"].replace("\0", ""))


def existing(rows: QuerySet[Row]) -> Row:
    """Return the first row of a query for an object that a token refers to.

    Raises Unauthorized if there is no row: the object was deleted after the token was read.
    """
    row = rows.first()
    if row is None:
        raise Unauthorized
    return row


def base(request: Request) -> str:
    """Return the URL of version 3 of the identity API, without a trailing slash."""
    return f"{public_url.base(request._request)}/identity/v3"


def error(status: int, message: str) -> HttpResponse:
    """Return an error response in Keystone's format."""
    title = responses.REASONS.get(status, "Error")
    content = {"code": status, "message": message, "title": title}
    return responses.json({"error": content}, status)
