"""What all views of the API share: sign-in before anything else, exact methods, 404 and 501."""

from __future__ import annotations

from typing import Any, cast

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from rest_framework.request import Request
from rest_framework.views import APIView

from images import errors
from images.access import Caller
from images.http import responses, streaming

# The part of a path that says which image it is about.
IMAGE_ID = r"(?P<image_id>[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})"
KNOWN_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"}


class ApiView(APIView):
    # No HEAD, although Django would make one of each GET: the API answers 405.
    http_method_names = ["get", "post", "put", "patch", "delete"]

    def dispatch(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        if request.method == "OPTIONS":
            return responses.nothing(200)  # browsers ask without credentials
        response = super().dispatch(request, *args, **kwargs)
        streaming.let_go(request)
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        # Accept decides about errors only, see replies.error; who may is asked by the views.
        self.perform_authentication(request)

    def handle_exception(self, exc: Exception) -> HttpResponse:  # type: ignore[override]
        response: HttpResponse = super().handle_exception(exc)
        # Most clients read the answer only once they have sent everything.
        streaming.drain(self.request._request)
        return response

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {}


class UnknownPath(ApiView):
    """Signed-in callers are told that there is nothing here."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method in KNOWN_METHODS:
            raise errors.NotFound("The resource could not be found.")

    def http_method_not_allowed(  # type: ignore[override]
        self, request: Request, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        message = f"The method {request.method} is not implemented."
        return responses.error(request._request, 501, message)


def get_caller(request: Request) -> Caller:
    """Who asks."""
    return cast(Caller, request.user)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500: says nothing about the inside."""
    message = "The service failed. The operator finds the reason in its log."
    return responses.error(request, 500, message)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400."""
    return responses.error(request, 400, "The request is malformed.")
