"""The health probes for load balancers and container platforms. They need no sign-in."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from images.http import responses
from images.http.views import without_body
from images.operations import health


@without_body
def healthcheck(request: HttpRequest) -> HttpResponse:
    """Answer 200 ``OK`` (204 to HEAD) if the service works, else 503 with the reason.

    The answer is 503 also while the file ``maintenance`` is in the data folder of the machine.
    """
    taken_out = health.is_taken_out()
    problem = health.UNDER_MAINTENANCE if taken_out else health.problem()
    status = 503 if problem else 200
    if request.method == "HEAD":
        return responses.nothing(status if problem else 204)
    if "application/json" in request.META.get("HTTP_ACCEPT", ""):
        document = {"detailed": False, "reasons": [problem or "OK"]}
        return responses.json(document, status)
    return responses.text(problem or "OK", status)


@without_body
def livez(request: HttpRequest) -> HttpResponse:
    """Answer 200 ``OK`` (204 to HEAD) without any check.

    It shows that this process answers requests.
    """
    return responses.nothing(204) if request.method == "HEAD" else responses.text("OK")
