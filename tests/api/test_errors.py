"""Responses to refused requests: bodies by Accept, request ids, methods, paths."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.db import DataError, OperationalError
from django.test import Client

from images import listing
from images.models import Event

MISSING = "/v2/images/9d0b6a1c-2f4e-4c8a-b7d3-5e6f70819243"
SENTENCE = f"No image found with ID {MISSING.rpartition('/')[2]}"
ID = "x-openstack-request-id"


# Bodies


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize("accept", ["*/*", "text/html", BROWSER])
def test_an_error_is_a_page(accept: str, api: Any) -> None:
    response = api.member.get(MISSING, headers={"Accept": accept})

    assert response.status_code == 404
    assert response["Content-Type"] == "text/html; charset=UTF-8"
    assert response.content.decode() == (
        "<html>\n <head>\n  <title>404 Not Found</title>\n </head>\n <body>\n"
        f"  <h1>404 Not Found</h1>\n  {SENTENCE}<br /><br />\n\n\n\n </body>\n</html>"
    )
    assert response["Content-Length"] == str(len(response.content))


# openstacksdk sends an empty Accept with uploads and patches.
@pytest.mark.parametrize(
    "accept", ["application/json", "", " ", "application/json, text/plain, */*"]
)
def test_an_error_is_json_for_whom_prefers_that_or_has_no_preference(
    accept: str, api: Any
) -> None:
    response = api.member.get(MISSING, headers={"Accept": accept})

    assert response["Content-Type"] == "application/json"
    assert response.json() == {
        "message": f"{SENTENCE}<br /><br />\n\n\n",
        "code": "404 Not Found",
        "title": "Not Found",
    }


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "text/plain",
        "text/html;q=0.1, text/plain",
        "application/xml",
        "*/*;q=0",
        ",",
        "text/html; charset*=nothing'en'x",
        "a/b;q=1," * 5000,
    ],
)
def test_an_error_is_text_for_whom_prefers_that_or_accepts_no_other_form(
    accept: str | None, api: Any
) -> None:
    headers = {} if accept is None else {"Accept": accept}

    response = api.member.get(MISSING, headers=headers)

    assert response["Content-Type"] == "text/plain; charset=UTF-8"
    assert response.content.decode() == f"404 Not Found\n\n{SENTENCE}\n\n"


def test_what_the_client_sent_is_escaped_in_a_page_and_nowhere_else(api: Any) -> None:
    def refused(accept: str) -> str:
        headers = {"Accept": accept}
        response = api.member.get("/v2/images?marker=<'script'>", headers=headers)
        assert response.status_code == 400
        return response.content.decode()

    assert "&lt;'script'&gt;" in refused("text/html")
    assert "<'script'>" not in refused("text/html")
    assert "<'script'>" in refused("application/json")
    assert "<'script'>" in refused("text/plain")


@pytest.mark.parametrize("accept", ["text/html", "text/plain", ""])
def test_a_success_is_json_whatever_is_accepted(accept: str, api: Any) -> None:
    response = api.member.get("/v2/images", headers={"Accept": accept})

    assert (response.status_code, response["Content-Type"]) == (200, "application/json")


def test_too_much_has_the_old_name(api: Any) -> None:
    tags = {"tags": [str(number) for number in range(129)]}

    response = api.member.post("/v2/images", tags, content_type="application/json")

    assert b"413 Request Entity Too Large" in response.content


def test_a_failure_tells_nothing_of_the_inside(
    api: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listing, "page", lambda *args: 1 / 0)
    api.member.raise_request_exception = False

    response = api.member.get("/v2/images", headers={"Accept": "text/plain"})

    assert response.status_code == 500
    assert response.content.decode() == (
        "500 Internal Server Error\n\n"
        "The service failed. The operator finds the reason in its log.\n\n"
    )
    assert response[ID].startswith("req-")
    assert "ZeroDivisionError" in caplog.text


def test_a_database_that_does_not_answer_is_503(
    api: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*args: Any) -> None:
        raise OperationalError("connection to server at 10.0.0.1 failed")

    monkeypatch.setattr(listing, "page", refuse)
    with caplog.at_level(logging.ERROR):
        response = api.member.get("/v2/images")

    assert response.status_code == 503
    assert b"10.0.0.1" not in response.content
    assert "10.0.0.1" in caplog.text


def test_a_value_that_the_database_refuses_is_400(
    api: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*args: Any) -> None:
        raise DataError("text fields cannot contain NUL bytes")

    monkeypatch.setattr(listing, "page", refuse)
    response = api.member.get("/v2/images")

    assert response.status_code == 400
    assert b"NUL" not in response.content
    assert "NUL" in caplog.text


# Request ids


def test_every_request_gets_an_id(api: Any) -> None:
    first, second = (api.member.get(MISSING)[ID] for _ in range(2))

    assert first.startswith("req-")
    assert len(first) == len("req-") + 36
    assert first != second


@pytest.mark.parametrize(
    ("given", "echoed"),
    [
        ("req-1234", "req-1234"),
        ("1234", "req-1234"),
        ("x" * 60, "req-" + "x" * 60),
        ("req-" + "x" * 60, "req-" + "x" * 60),
    ],
)
def test_a_clients_own_id_is_echoed(given: str, echoed: str, api: Any) -> None:
    response = api.member.get("/v2/images", headers={"X-OpenStack-Request-ID": given})

    assert response[ID] == echoed


@pytest.mark.parametrize("given", ["x" * 65, "req-" + "x" * 61, "a b", "é", "<i>", ""])
def test_an_id_that_cannot_be_kept_is_replaced(given: str, api: Any) -> None:
    response = api.member.get(MISSING, headers={"X-OpenStack-Request-ID": given})

    assert response.status_code == 404
    assert len(response[ID]) == len("req-") + 36


def test_the_longest_id_fits_the_history(api: Any, make_image: Any) -> None:
    image, given = make_image(), "req-" + "x" * 60

    api.member.delete(
        f"/v2/images/{image.pk}", headers={"X-OpenStack-Request-ID": given}
    )

    assert Event.objects.get().request_id == given


# Paths and methods

IMAGE = MISSING
ALLOWED = {
    "/v2/images": "GET, POST",
    IMAGE: "GET, PATCH, DELETE",
    f"{IMAGE}/file": "GET, HEAD, PUT",
    f"{IMAGE}/tags/a": "PUT, DELETE",
    f"{IMAGE}/actions/deactivate": "POST",
    f"{IMAGE}/actions/reactivate": "POST",
    "/v2/schemas/image": "GET",
    "/v2/schemas/images": "GET",
}
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"]
UNKNOWN = [
    "/v2/",
    "/v2/images/",
    f"{IMAGE}/",
    f"{IMAGE}/file/",
    f"{IMAGE}/nothing",
    f"{IMAGE}/actions",
    f"{IMAGE}/tags",
    f"{IMAGE}/tags/",
    "/v2/nothing",
    "/v2//images",
    "/v2/schemas",
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", ALLOWED)
def test_a_method_that_a_resource_does_not_have_is_405(
    path: str, method: str, api: Any
) -> None:
    response = api.admin.generic(method, path)

    if method in ALLOWED[path].split(", "):
        assert response.status_code != 405
    else:
        assert response.status_code == 405
        assert response["Allow"] == ALLOWED[path]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", UNKNOWN)
def test_an_unknown_path_is_404(path: str, method: str, api: Any) -> None:
    assert api.admin.generic(method, path).status_code == 404


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "BREW"])
@pytest.mark.parametrize("path", UNKNOWN)
def test_an_unknown_method_at_an_unknown_path_is_501(
    path: str, method: str, api: Any
) -> None:
    assert api.admin.generic(method, path).status_code == 501


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", [*ALLOWED, *UNKNOWN])
def test_who_is_not_signed_in_is_401_whatever_there_is(
    path: str, method: str, client: Client
) -> None:
    response = client.generic(method, path)

    assert response.status_code == 401
    assert response["WWW-Authenticate"] == 'Basic realm="imagecatalog"'


@pytest.mark.parametrize("path", [*ALLOWED, "/v2/nothing"])
def test_options_are_told_to_everybody(path: str, client: Client) -> None:
    assert client.options(path).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v2/images/{id}",
        "/v2/images/{id}/file",
        "/v2/images/{id}/actions/restore",
        "/v2/images/{id}/history",
        "/v2/images/{id}/members",
        "/v2/images/{id}/uploads",
        "/v2/schemas/image",
        "/v1/images",
        "/v1/images/detail",
        "/v1/images/{id}",
        "/v1/images/{id}/members",
        "/v1/",
    ],
)
def test_a_line_break_at_the_end_of_a_path_is_not_overlooked(
    path: str, api: Any, make_image: Any
) -> None:
    image = make_image("active")

    response = api.admin.get(path.format(id=image.pk) + "%0A")

    assert response.status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/versions", 300),
        ("/healthcheck", 300),
        ("/identity/v3", 404),
        ("/identity", 404),
    ],
)
def test_nor_is_it_at_the_endpoints_without_sign_in(
    path: str, code: int, client: Client
) -> None:
    assert client.get(f"{path}%0A").status_code == code
