"""The greeting of the command `serve`: its URLs, and an example of a request."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest

from images.management.commands.serve import Command

LOCAL = "http://127.0.0.1:9292"


def greeting(*urls: str) -> str:
    out = StringIO()
    Command(stdout=out).greet([*urls], None)
    return out.getvalue()


def test_without_a_public_url_the_admin_is_at_the_address_of_serve() -> None:
    said = greeting("unix:/run/socket", LOCAL)

    assert f"API is at unix:/run/socket, {LOCAL}; the browser" in said
    assert f"the browser admin is at {LOCAL}/admin/\n" in said
    assert f"curl -u admin:PASSWORD {LOCAL}/v2/images" in said


@pytest.mark.parametrize("address", [LOCAL, "unix:/run/socket"])
def test_a_public_url_is_that_of_the_admin_and_of_the_example(
    address: str, settings: Any
) -> None:
    settings.IMAGECATALOG_PUBLIC_URL = "https://images.example.org/catalogue"

    said = greeting(address)

    assert f"The image catalogue API is at {address}\n" in said
    assert (
        "Its public URL is https://images.example.org/catalogue; the browser admin is at "
        "https://images.example.org/catalogue/admin/\n"
    ) in said
    assert "https://images.example.org/catalogue/v2/images\n" in said
    assert f"{address}/" not in said
