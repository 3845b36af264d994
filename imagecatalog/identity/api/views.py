"""What all resources of the identity face share: errors in Keystone's shape, and the caller."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.request import Request

from imagecatalog.identity import tokens
from imagecatalog.identity.models import Role
from imagecatalog.identity.tokens import Valid
from images import errors
from images.http import exception_handler, public_url, responses
from images.http.views import ApiView

Row = TypeVar("Row", bound=Model)

DOMAIN = {"id": "default", "name": "Default"}  # the only one


class Unauthorized(errors.ImageError):
    """Whoever asks did not say who it is, or not rightly."""

    code = "unauthorized"

    def __init__(
        self, message: str = "The request you have made requires authentication."
    ) -> None:
        super().__init__(message)


class IdentityView(ApiView):
    """A resource for the holders of a token, which the view finds as ``self.token``."""

    token: Valid

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.token = require(request)
        if any("\0" in it for it in kwargs.values()):  # PostgreSQL fails on it
            raise errors.NotFound("There is nothing with this id.")

    def get_exception_handler(self) -> Any:
        return handle


class OpenView(IdentityView):
    """A resource for everybody."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        pass


class UnknownPath(OpenView):
    """What Keystone has and we do not."""

    http_method_names = [*ApiView.http_method_names, "head"]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise errors.NotFound(
            "This is the identity service of an image catalogue: it knows tokens, "
            "application credentials and projects, and nothing else of Keystone."
        )


def require(request: Request) -> Valid:
    """The token that the request is made with. Raises Unauthorized."""
    valid = tokens.read(request.META.get("HTTP_X_AUTH_TOKEN", ""))
    if valid is None:
        raise Unauthorized
    return valid


def user_key(text: str) -> int:
    """The primary key in a user's id; 0, which nobody has, when it cannot be one."""
    is_one = text.isascii() and text.isdecimal() and len(text) < 10
    return int(text) if is_one else 0


def is_admin(token: Valid) -> bool:
    """Whether the holder may see what is others'; not with a credential that names its actions."""
    return token.identity.role == Role.ADMIN and token.identity.actions is None


def existing(rows: QuerySet[Row]) -> Row:
    """The one row; it may have gone since the token was looked up. Raises Unauthorized."""
    row = rows.first()
    if row is None:
        raise Unauthorized
    return row


def base(request: Request) -> str:
    """The URL of the identity service, without a slash at its end."""
    return f"{public_url.base(request._request)}/identity/v3"


def handle(exc: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """The exception handler of DRF, with the status codes of the Image API's table."""
    request: HttpRequest = context["request"]._request
    if isinstance(exc, MethodNotAllowed):
        allowed = context["view"].allowed_methods
        response = error(405, f"Use {', '.join(allowed)}.")
        response.headers["Allow"] = ", ".join(allowed)
        return response
    if isinstance(exc, Unauthorized):
        response = error(401, str(exc))
        uri = f"{public_url.base(request)}/identity"
        response.headers["WWW-Authenticate"] = f'Keystone uri="{uri}"'
        return response
    if isinstance(exc, errors.OverLimit):
        return error(403, str(exc))  # as Keystone says it
    plain = exception_handler.handle(exc, context)
    if plain is None:
        return None
    response = error(plain.status_code, _message(exc))
    if "Retry-After" in plain.headers:
        response.headers["Retry-After"] = plain.headers["Retry-After"]
    return response


def error(status: int, message: str) -> HttpResponse:
    """An error document."""
    title = responses.REASONS.get(status, "Error")
    content = {"code": status, "message": message, "title": title}
    return responses.json({"error": content}, status)


def _message(exc: Exception) -> str:
    if isinstance(exc, errors.ImageError):
        return str(exc)
    return "The request could not be served."
