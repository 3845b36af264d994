"""A direct upload from the page of another site, as a browser sends it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from tests.servers import DASHBOARD, Service
from tests.wire.api import OCTETS, Api, sign_in


@pytest.fixture
def api(any_catalogue: Service) -> Iterator[Api]:
    with Api(any_catalogue) as session:
        yield session


def test_a_dashboard_uploads_an_image_directly(
    any_catalogue: Service, api: Api
) -> None:
    image_id = api.new()
    url, origin = f"{api.base}images/{image_id}/file", {"Origin": DASHBOARD}
    wanted = {
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type,x-auth-token",
    }
    token = {"X-Auth-Token": sign_in(any_catalogue)}

    asked = requests.options(url, headers=origin | wanted, timeout=60)
    sent = requests.put(url, b"data", headers=origin | OCTETS | token, timeout=60)

    assert (asked.status_code, sent.status_code) == (204, 204)
    assert "PUT" in asked.headers["Access-Control-Allow-Methods"]
    for response in (asked, sent):
        assert response.headers["Access-Control-Allow-Origin"] == DASHBOARD
    assert api.data(image_id) == b"data"
