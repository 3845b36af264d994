from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.signals import request_started
from django.db import close_old_connections
from django.test import RequestFactory

from imagecatalog.wsgi import application


@pytest.fixture(autouse=True)
def connection_stays() -> Iterator[None]:
    """Django's test client does the same: a request would end the test's transaction."""
    request_started.disconnect(close_old_connections)
    yield
    request_started.connect(close_old_connections)


def ask(path: str, content_type: str) -> tuple[str, bytes]:
    environ = RequestFactory().get(path).environ | {"CONTENT_TYPE": content_type}
    status: list[str] = []
    response = application(environ, lambda line, headers: status.append(line))
    return status[0], b"".join(response)


@pytest.mark.parametrize("charset", ["base64", "utf-16", "latin-1", "nonsense", ""])
def test_text_is_utf_8_whatever_a_client_declares(
    charset: str, make_image: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_AUTH = "none"
    make_image(name="é")
    media_type = f"application/octet-stream; Charset={charset}"

    status, body = ask("/v2/images?name=%C3%A9", media_type)

    assert status == "200 OK"
    assert len(json.loads(body)["images"]) == 1
