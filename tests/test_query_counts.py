"""How many questions a request asks the database: a number that does not grow with the catalogue.

Counted around the whole request, with the sign-in by a password that is known already. On PostgreSQL
also how often a request waits for it: statements that are sent together wait once.
"""

from __future__ import annotations

import json
import math
import re
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from imagecatalog.identity import verification
from imagecatalog.identity.models import Project
from images.api.v2.patch import V2_1
from images.models import Image, Member, MetadefNamespace, MetadefResourceType
from images.transfers import limits

OCTETS = "application/octet-stream"
# The side that sends a message of the protocol, in a trace: F is the program, B the database.
SIDES = re.compile(r"^\S+ \S+\t([FB])\t", re.MULTILINE)
Count = Callable[..., int]


@pytest.fixture(autouse=True)
def nothing_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no second pass for what is read at most once a second: a project's limits, a user."""
    read = limits._own
    monkeypatch.setattr(limits, "_own", lambda project, _second: read(project, 0))
    monkeypatch.setattr(verification, "FRESH_SECONDS", math.inf)


def signed_in(role: str) -> Client:
    """A client of project-a whose password was verified already."""
    user = User.objects.create_user("alice", password="secret")
    project = Project.objects.create(id="project-a", name="a")
    project.assignments.create(user=user, role=role)
    credential = b64encode(b"alice:secret").decode()
    client = Client(headers={"Authorization": f"Basic {credential}"})
    assert client.get("/v2/schemas/image").status_code == 200
    return client


@pytest.fixture(params=["admin", "member"])
def count(request: pytest.FixtureRequest, db: None) -> Count:
    """``count("GET", "/v2/images")``: the number of queries, transactions not counted."""
    client = signed_in(request.param)

    def count(
        method: str, path: str, body: bytes = b"", media_type: str = OCTETS
    ) -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            response = client.generic(method, path, body, media_type)
            b"".join(response)
        assert response.status_code < 300, response.content
        return sum("SAVEPOINT" not in query["sql"] for query in queries)

    return count


@pytest.fixture
def fill(make_image: Callable[..., Image]) -> Callable[..., Image]:
    """Images of which each has ``much`` of everything."""

    def fill(images: int, much: int) -> Image:
        for _ in range(images):
            image = make_image(
                "active",
                tags=[f"t{number:03}" for number in range(much)],
                properties={f"p{number}": "x" for number in range(much)},
            )
            for number in range(much):
                image.locations.create(store="local", key=f"{image.pk}.{number}")
                Member.objects.create(image=image, member=f"project-{number}")
        return image

    return fill


CATALOGUES = [(1, 0), (3, 9), (30, 2)]


@pytest.mark.parametrize(("images", "much"), CATALOGUES)
@pytest.mark.parametrize(
    "query", ["", "visibility=all", "tag=t001&p1=x", "sort=name:asc", "limit=2"]
)
def test_a_list_asks_at_most_twice(
    query: str, images: int, much: int, fill: Any, count: Count
) -> None:
    fill(images, much)

    assert count("GET", f"/v2/images?{query}") <= 2


@pytest.mark.parametrize(("images", "much"), CATALOGUES)
def test_the_next_page_asks_at_most_once_more(
    images: int, much: int, fill: Any, count: Count
) -> None:
    marker = fill(images, much)

    assert count("GET", f"/v2/images?marker={marker.pk}&limit=5") <= 3


@pytest.mark.parametrize(("images", "much"), CATALOGUES)
def test_showing_an_image_asks_at_most_twice(
    images: int, much: int, fill: Any, count: Count
) -> None:
    image = fill(images, much)

    assert count("GET", f"/v2/images/{image.pk}") <= 2


@pytest.mark.parametrize(("images", "much"), CATALOGUES)
def test_creating_an_image_asks_at_most_three_times(
    images: int, much: int, fill: Any, count: Count
) -> None:
    fill(images, much)
    document = {"tags": [f"t{number}" for number in range(much)], "os": "debian"}

    assert count("POST", "/v2/images", json.dumps(document).encode()) <= 3


@pytest.mark.parametrize(("images", "much"), [(1, 0), (1, 2), (30, 2)])
def test_changing_an_image_asks_at_most_five_times(
    images: int, much: int, fill: Any, count: Count
) -> None:
    image = fill(images, much)
    operations = [
        {"op": "add", "path": f"/new{number}", "value": "x"}
        for number in range(much + 1)
    ]
    body = json.dumps(operations).encode()

    assert count("PATCH", f"/v2/images/{image.pk}", body, V2_1) <= 5


@pytest.mark.parametrize(("images", "much"), CATALOGUES)
def test_downloading_asks_at_most_three_times(
    images: int, much: int, fill: Any, count: Count
) -> None:
    image = fill(images, much)

    assert count("GET", f"/v2/images/{image.pk}/file") <= 3


@pytest.mark.parametrize("images", [1, 30])
def test_deleting_an_image_asks_at_most_seven_times(
    images: int, fill: Any, count: Count
) -> None:
    image = fill(images, 0)

    assert count("DELETE", f"/v2/images/{image.pk}") <= 7


@pytest.mark.parametrize("images", [1, 30])
def test_an_upload_asks_at_most_thirteen_times(
    images: int, fill: Any, make_image: Any, count: Count
) -> None:
    fill(images, 2)
    image = make_image()

    assert count("PUT", f"/v2/images/{image.pk}/file", bytes(3 << 20)) <= 13


@pytest.mark.parametrize(("images", "much"), CATALOGUES)
def test_version_1_asks_as_little(
    images: int, much: int, fill: Any, make_image: Any, count: Count
) -> None:
    image = fill(images, much)
    path = f"/v1/images/{image.pk}"

    for query in ("", "/detail", "/detail?property-p1=x&size_min=5&limit=2"):
        assert count("GET", f"/v1/images{query}") <= 2
    assert count("GET", f"/v1/images?marker={image.pk}") <= 3
    assert count("HEAD", path) <= 2
    assert count("GET", path) <= 3
    assert count("GET", f"{path}/members") <= 3
    assert count("POST", "/v1/images") <= 4
    assert count("PUT", path) <= 5
    assert count("DELETE", path) <= 7 + much


@pytest.mark.parametrize("much", [0, 9])
def test_sharing_asks_at_most_five_times(much: int, fill: Any, count: Count) -> None:
    members = f"/v2/images/{fill(1, much).pk}/members"

    assert count("POST", members, b'{"member": "b"}') <= 5
    assert count("GET", members) <= 3
    assert count("DELETE", f"{members}/b") <= 5


@pytest.fixture
def define(db: None) -> Callable[[int, int], None]:
    """Namespaces of which each has ``much`` of everything."""

    def define(namespaces: int, much: int) -> None:
        for number in range(namespaces):
            namespace = MetadefNamespace.objects.create(
                namespace=f"n{number}", visibility="public", owner="project-a"
            )
            for name in map(str, range(much)):
                kind, _ = MetadefResourceType.objects.get_or_create(name=name)
                namespace.associations.create(resource_type=kind)
                namespace.metadef_objects.create(name=name)
                namespace.properties.create(name=name)
                namespace.tags.create(name=name)

    return define


DEFINITIONS = [(1, 0), (2, 9), (33, 3)]


@pytest.mark.parametrize(("namespaces", "much"), DEFINITIONS)
def test_reading_definitions_asks_a_constant_number_of_times(
    namespaces: int, much: int, define: Any, count: Count
) -> None:
    define(namespaces, much)
    path = "/v2/metadefs/namespaces"

    assert count("GET", path) <= 3
    assert count("GET", f"{path}?resource_types=1,2&marker=n0&limit=9") <= 4
    assert count("GET", f"{path}/n0") <= 6
    for name in ("objects", "properties", "tags", "resource_types"):
        assert count("GET", f"{path}/n0/{name}") <= 3
    assert count("GET", "/v2/metadefs/resource_types") <= 2


@pytest.mark.parametrize("count", ["admin"], indirect=True)
@pytest.mark.parametrize("much", [1, 20])
def test_changing_definitions_asks_a_constant_number_of_times(
    much: int, define: Any, count: Count
) -> None:
    define(1, much)
    names = [str(number) for number in range(much)]
    schema = {"title": "X", "type": "string"}
    tree = {
        "namespace": "new",
        "resource_type_associations": [{"name": f"new {name}"} for name in names],
        "objects": [{"name": name} for name in names],
        "properties": dict.fromkeys(names, schema),
        "tags": [{"name": name} for name in names],
    }
    path = "/v2/metadefs/namespaces"

    assert count("POST", path, json.dumps(tree).encode()) <= 13
    assert count("PUT", f"{path}/new", json.dumps(tree).encode()) <= 4
    assert count("POST", f"{path}/n0/tags", b'{"tags": [{"name": "x"}]}') <= 5
    assert count("POST", f"{path}/n0/objects", b'{"name": "x"}') <= 5
    assert count("DELETE", f"{path}/n0/properties") <= 4
    assert count("DELETE", f"{path}/n0") <= 8


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("name", "value"), [("jit", "off"), ("cursor_tuple_fraction", "1")]
)
def test_statements_are_planned_for_what_they_are(
    db: None, name: str, value: str
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        assert cursor.fetchone() == (value,)


@pytest.fixture
def waits(transactional_db: None, tmp_path: Path) -> Count:
    """``waits("DELETE", path)``: how often a request sends statements and waits for PostgreSQL."""
    client = signed_in("member")
    limits.of("project-a")  # read once a second

    def waits(
        method: str, path: str, body: bytes = b"", media_type: str = OCTETS
    ) -> int:
        traced = connection.connection.pgconn
        with (tmp_path / "trace").open("w+b", buffering=0) as file:
            traced.trace(file.fileno())
            response = client.generic(method, path, body, media_type)
            traced.untrace()
        assert response.status_code < 300, response.content
        messages = (tmp_path / "trace").read_text("latin-1")
        return "".join(SIDES.findall(messages)).count("FB")

    return waits


@pytest.mark.postgres
def test_changes_wait_for_postgresql_as_rarely_as_possible(
    make_image: Any, waits: Count
) -> None:
    image = f"/v2/images/{make_image().pk}"
    patch = b'[{"op": "add", "path": "/new", "value": "x"}]'

    assert waits("POST", "/v2/images", b'{"name": "new"}') == 1
    assert waits("PATCH", image, patch, V2_1) == 3
    assert waits("PUT", f"{image}/tags/new") == 3
    assert waits("DELETE", image) == 2
    assert waits("PUT", f"/v2/images/{make_image().pk}/file", b"data") == 8
