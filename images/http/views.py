"""The base classes of API views, the view of unknown paths, and the responses 400, 500 and 503."""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Mapping
from functools import wraps
from typing import Any, ClassVar, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from rest_framework.request import Request
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSetMixin

from images import attributes, errors, outages, request_rate
from images.access import Caller
from images.http import request_body, responses, streaming
from images.http.challenge import challenge
from images.http.form_files import FileRefused

IMAGE_UUID = "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
IMAGE_ID = f"(?P<image_id>{IMAGE_UUID})"  # the segment of a path with the image's id
NAME = "(?s:.*[^/])"  # a text at the end of a path; it can contain slashes
KNOWN_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"}
View = Callable[[HttpRequest], HttpResponseBase]
WITHOUT_BODY = {"GET", "HEAD", "DELETE"}
TOO_OFTEN = "Your project sends too many requests."


class ApiView(APIView):
    """The base of API views, which authenticates first and answers errors in the API's format.

    A subclass overrides attributes and methods only where its resource answers differently.
    """

    # Without HEAD, which Django would derive from GET: the API answers 405.
    http_method_names = ["get", "post", "put", "patch", "delete"]
    error_status: ClassVar[Mapping[type[Exception], int]] = {}
    error_headers: ClassVar[Mapping[type[Exception], Mapping[str, str]]] = {}
    # Actions that ignore a body, although their method has none.
    ignoring_body: ClassVar[Container[str]] = ()

    def error_response(
        self, request: HttpRequest, status: int, message: str
    ) -> HttpResponse:
        """Return an error response in the format of this API."""
        return responses.error(request, status, message)

    def challenge(self, request: HttpRequest) -> str:
        """Return the value of WWW-Authenticate for a request without valid credentials."""
        return challenge()

    def dispatch(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """Return the response to a request, and discard the unread bytes of the request's body."""
        # Browsers send OPTIONS without credentials.
        if request.method == "OPTIONS":
            return responses.nothing(200)
        response = super().dispatch(request, *args, **kwargs)
        streaming.release_body(request)
        # View and request refer to themselves and each other: they would stay until a collection.
        self.request.parser_context.clear()
        vars(self).clear()
        return response

    def perform_authentication(self, request: Request) -> None:
        """Authenticate the caller, and count the request for the rate limit of the caller's project.

        Raises NotAuthenticated, AuthenticationFailed or Forbidden, and TooManyRequests above
        IMAGECATALOG_RATE_LIMIT.
        """
        super().perform_authentication(request)
        most = settings.IMAGECATALOG_RATE_LIMIT
        request_rate.count(self.rate_key(request), most, most, TOO_OFTEN)

    def rate_key(self, request: Request) -> str:
        """Return the name by which the requests of a caller are counted for the rate limit."""
        caller = get_caller(request)
        return f"project {caller.project}" if caller.project else f"user {caller.user}"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate the caller, and raise Invalid if a request has a body that its method forbids.

        Raises NotAuthenticated, AuthenticationFailed, Forbidden or TooManyRequests for the
        caller.
        """
        # No content negotiation: Accept only decides the form of errors. Views check
        # permissions themselves, because most permissions depend on the image.
        self.perform_authentication(request)
        ignored = getattr(self, "action", None) in self.ignoring_body
        if request.method in WITHOUT_BODY and not ignored:
            request_body.refuse(request._request)

    def handle_exception(self, exc: Exception) -> HttpResponse:  # type: ignore[override]
        """Return the response to an error, and discard the unread bytes of the request body."""
        response: HttpResponse = super().handle_exception(exc)
        # Most clients read the response only after they have sent the whole body.
        streaming.drain(self.request._request)
        return response

    @property
    def default_response_headers(self) -> dict[str, str]:
        """The headers that DRF adds to responses: none, because the views set their own."""
        return {}


class ApiViewSet(ViewSetMixin, ApiView):
    """A DRF ViewSet that allows only the HTTP methods for which its route names an action."""

    @classmethod
    def as_view(  # type: ignore[override]
        cls, actions: Mapping[str, str], **initkwargs: Any
    ) -> Callable[..., HttpResponseBase]:
        """Return the view of a route; ``actions`` maps its allowed HTTP methods to names of actions."""
        # DRF adds HEAD to every route that has GET.
        methods = list(actions)
        view: Callable[..., HttpResponseBase] = super().as_view(
            dict(actions), http_method_names=methods, **initkwargs
        )
        return view


class UnknownPathView(ApiView):
    """The view of all paths without a resource: 404 after authentication, 501 for unknown methods."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate the caller, and raise NotFound unless the HTTP method is unknown."""
        super().initial(request, *args, **kwargs)
        if request.method in KNOWN_METHODS:
            raise errors.NotFound("The resource could not be found.")

    def http_method_not_allowed(  # type: ignore[override]
        self, request: Request, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Return 501 (Not Implemented) for an unknown HTTP method."""
        message = f"The method {request.method} is not implemented."
        return responses.error(request._request, 501, message)


def without_body(view: View) -> View:
    """Return a view like ``view`` that answers 400 to GET, HEAD and DELETE requests with a body."""

    @wraps(view)
    def refusing(request: HttpRequest) -> HttpResponseBase:
        # The body is not read: a client that has not signed in must not hold a thread.
        try:
            has_body = streaming.has_body(request)
        except errors.Invalid as error:
            return responses.error(request, 400, str(error))
        if has_body and request.method in WITHOUT_BODY:
            return responses.error(request, 400, request_body.NOT_EXPECTED)
        return view(request)

    return refusing


def get_caller(request: Request) -> Caller:
    """Return the authenticated caller of a request."""
    return cast(Caller, request.user)


def get_reason(request: Request) -> str:
    """Return the text of the header X-Reason (empty without it); histories record it.

    Raises Invalid for text that is not UTF-8 or cannot be stored.
    """
    try:
        text = request_body.header_text(request.headers.get("X-Reason", ""))
    except UnicodeError:
        raise errors.Invalid("X-Reason must be text in UTF-8.") from None
    return attributes.clean_text(text, "X-Reason").strip()


def server_error(request: HttpRequest) -> HttpResponse:
    """Return the response 500 without internal details, or 503 if the database is unavailable."""
    if outage := current_outage():
        return unavailable(responses.error(request, 503, outages.sentence(outage)))
    return responses.error(request, 500, errors.SERVICE_FAILED)


def current_outage() -> BaseException | None:
    """Return the exception that is being handled if the database is unavailable, else None.

    The outage is also logged, once for each outage.
    """
    error = sys.exc_info()[1]
    if error is None or not outages.is_outage(error):
        return None
    outages.record(error)
    return error


def unavailable(response: HttpResponse) -> HttpResponse:
    """Prepare and return the response for an outage of the database: it gets Retry-After.

    It is also marked so that Django does not log it, because the outage is in the log already.
    """
    response.headers["Retry-After"] = str(outages.RETRY_AFTER)  # RFC 9110, 10.2.3
    responses.suppress_log(response)
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return the response 400 to a request that Django itself refuses."""
    is_told = isinstance(exception, FileRefused)
    message = str(exception) if is_told else "The request is malformed."
    return responses.error(request, 400, message)
