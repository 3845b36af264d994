"""Role × visibility × ownership × operation, each cell with the status code that it must give.

The tables are the promise; nothing in them is computed from the rules.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from django.db import transaction
from django.http import HttpResponse
from django.test import Client

from images.access import Caller, implied
from images.api.v2.patch import V2_1
from images.models import Image

VISIBILITIES = ("private", "shared", "community", "public")
OWNERSHIPS = ("own", "pending", "accepted", "rejected", "foreign", "nobody's")
ROLES = ("admin", "member", "reader", "service", "none")

# What an image is to a project, by its visibility. To admins every image is theirs.
RELATION = {
    #             own    a member of it, whatever its status  foreign    nobody's
    "private":   ("own", "hidden", "hidden", "hidden",        "hidden",  "seen"),
    "shared":    ("own", "seen",   "seen",   "seen",          "hidden",  "seen"),
    "community": ("own", "seen",   "seen",   "seen",          "seen",    "seen"),
    "public":    ("own", "seen",   "seen",   "seen",          "seen",    "seen"),
}  # fmt: skip

OPERATIONS = (
    "show", "download", "rename", "tag", "untag", "deactivate", "reactivate",
    "publish", "give away", "add location", "remove location", "share", "history",
    "restore", "delete", "read locations", "new location",
)  # fmt: skip
# Of an active image, private or whatever the row is about. 409: may, but it cannot be.
CODES = {
    ("admin", "all"):     (200, 200, 200, 204, 404, 204, 204, 200, 200, 400, 200, None, 200, 409, 204, 200, 409),
    ("member", "own"):    (200, 200, 200, 204, 404, 204, 204, 403, 403, 403, 403, None, 200, 403, 204, 403, 409),
    ("member", "seen"):   (200, 200, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403,  403, 403, 403, 403, 403),
    ("member", "hidden"): (404,) * 17,
    ("reader", "own"):    (200, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403,  200, 403, 403, 403, 403),
    ("reader", "seen"):   (200, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403,  403, 403, 403, 403, 403),
    ("reader", "hidden"): (404,) * 17,
    ("service", "own"):   (*(404,) * 15, 200, 409),
    ("service", "seen"):  (*(404,) * 15, 200, 409),
    ("service", "hidden"): (404,) * 17,
    ("none", "own"):      (404,) * 17,
    ("none", "seen"):     (404,) * 17,
    ("none", "hidden"):   (404,) * 17,
}  # fmt: skip
# What depends on the visibility: only shared images have members.
SHARE = {"private": 403, "shared": 200, "community": 403, "public": 403}

# In whose default list, and in which list of a visibility.
LISTED = {
    #             own    pending accepted rejected foreign nobody's
    "private":   (True,  False,  False,   False,   False,  False),
    "shared":    (True,  False,  True,    False,   False,  False),
    "community": (True,  False,  False,   False,   False,  False),
    "public":    (True,  True,   True,    True,    True,   True),
}  # fmt: skip
LISTED_IN_ITS_VISIBILITY = {
    "private":   (True,  False,  False,   False,   False,  False),
    "shared":    (True,  False,  True,    False,   False,  False),
    "community": (True,  True,   True,    True,    True,   True),
    "public":    (True,  True,   True,    True,    True,   True),
}  # fmt: skip

# Members: role, relation -> (list them, show one's own, accept, remove one's own).
MEMBERS = {
    ("admin", "accepted"):  (200, 200, 200, 204),
    ("member", "own"):      (200, 200, 403, 204),
    ("member", "pending"):  (200, 200, 200, 403),
    ("member", "accepted"): (200, 200, 200, 403),
    ("member", "rejected"): (200, 200, 200, 403),
    ("member", "foreign"):  (404, 404, 404, 404),
    ("reader", "own"):      (200, 200, 403, 403),
    ("reader", "accepted"): (200, 200, 403, 403),
    ("reader", "foreign"):  (404, 404, 404, 404),
    ("service", "accepted"): (404, 404, 404, 404),
    ("none", "accepted"):   (404, 404, 404, 404),
}  # fmt: skip

everybody = pytest.mark.parametrize(
    ("role", "visibility", "ownership"),
    [*product(ROLES, VISIBILITIES, OWNERSHIPS)],
)
PUBLIC_URL = "http://93.184.215.14/x"  # which the filter allows, and nobody asks
MINE = "project-of-the-caller"
THEIRS = "another-project"


@pytest.fixture
def sign_in(client_of: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Client]:
    """A client of a caller in MINE with this role; without any for ``none``."""
    from images.api import authentication

    def sign_in(role: str) -> Client:
        roles = frozenset() if role == "none" else implied(role)
        caller = Caller("alice", MINE, roles, interface="v2")
        monkeypatch.setitem(authentication.MODES, "embedded", lambda request: caller)
        return Client()

    return sign_in


@pytest.fixture
def image_of(make_image: Any) -> Callable[..., Image]:
    def make(visibility: str, ownership: str, status: str = "active") -> Image:
        owner = {"own": MINE, "nobody's": None}.get(ownership, THEIRS)
        image = make_image(status, visibility=visibility, owner=owner, tags=["green"])
        if ownership in ("pending", "accepted", "rejected"):
            image.members.create(member=MINE, status=ownership)
        return image

    return make


def patch(client: Client, image: Image, *operations: dict[str, Any]) -> HttpResponse:
    path = f"/v2/images/{image.pk}"
    return client.patch(path, json.dumps(operations), content_type=V2_1)


def do(client: Client, operation: str, image: Image) -> int:
    path = f"/v2/images/{image.pk}"
    new = {"url": "gopher://x", "metadata": {}}
    answers: dict[str, Callable[[], Any]] = {
        "show": lambda: client.get(path),
        "download": lambda: client.get(f"{path}/file"),
        "rename": lambda: patch(
            client, image, {"op": "replace", "path": "/name", "value": "x"}
        ),
        "tag": lambda: client.put(f"{path}/tags/x"),
        "untag": lambda: client.delete(f"{path}/tags/absent"),
        "deactivate": lambda: client.generic("POST", f"{path}/actions/deactivate"),
        "reactivate": lambda: client.generic("POST", f"{path}/actions/reactivate"),
        "publish": lambda: patch(
            client, image, {"op": "replace", "path": "/visibility", "value": "public"}
        ),
        "give away": lambda: patch(
            client, image, {"op": "add", "path": "/owner", "value": "x"}
        ),
        "add location": lambda: patch(
            client, image, {"op": "add", "path": "/locations/-", "value": new}
        ),
        "remove location": lambda: patch(
            client, image, {"op": "remove", "path": "/locations/0"}
        ),
        "share": lambda: client.post(
            f"{path}/members", {"member": "x"}, content_type="application/json"
        ),
        "history": lambda: client.get(f"{path}/history"),
        "restore": lambda: client.generic("POST", f"{path}/actions/restore"),
        "delete": lambda: client.delete(path),
        "read locations": lambda: client.get(f"{path}/locations"),
        "new location": lambda: client.post(
            f"{path}/locations", {"url": PUBLIC_URL}, content_type="application/json"
        ),
    }
    response = answers[operation]()
    b"".join(response)
    return response.status_code


def undone(do: Callable[..., int], client: Client, verb: str, image: Image) -> int:
    """Do it in a savepoint, so that the image is the same to each operation."""
    with transaction.atomic():
        code = do(client, verb, image)
        transaction.set_rollback(True)
    return code


def relation(role: str, visibility: str, ownership: str) -> str:
    if role == "admin":
        return "all"
    return RELATION[visibility][OWNERSHIPS.index(ownership)]


@pytest.mark.once
@everybody
def test_who_may_do_what_with_an_image(
    role: str, visibility: str, ownership: str, sign_in: Any, image_of: Any
) -> None:
    client = sign_in(role)
    expected = dict(
        zip(
            OPERATIONS,
            CODES[role, relation(role, visibility, ownership)],
            strict=True,
        )
    )
    if expected["share"] is None:
        expected["share"] = SHARE[visibility]

    image = image_of(visibility, ownership)
    found = {it: undone(do, client, it, image) for it in OPERATIONS}

    assert found == expected


UPLOAD = {
    ("admin", "all"): 204,
    ("member", "own"): 204,
    ("member", "seen"): 403,
    ("reader", "own"): 403,
    ("reader", "seen"): 403,
}


@pytest.mark.once
@everybody
def test_who_may_upload(
    role: str, visibility: str, ownership: str, sign_in: Any, image_of: Any
) -> None:
    image = image_of(visibility, ownership, "queued")

    response = sign_in(role).put(
        f"/v2/images/{image.pk}/file", b"data", "application/octet-stream"
    )

    expected = UPLOAD.get((role, relation(role, visibility, ownership)), 404)
    assert response.status_code == expected


@everybody
def test_who_finds_an_image_in_a_list(
    role: str, visibility: str, ownership: str, sign_in: Any, image_of: Any
) -> None:
    client, image = sign_in(role), image_of(visibility, ownership)

    default = client.get("/v2/images")
    narrow = client.get(f"/v2/images?visibility={visibility}")

    if role in ("service", "none"):
        assert (default.status_code, narrow.status_code) == (403, 403)
        return
    column = OWNERSHIPS.index(ownership)
    for response, table in ((default, LISTED), (narrow, LISTED_IN_ITS_VISIBILITY)):
        found = [shown["id"] for shown in response.json()["images"]]
        expected = role == "admin" or table[visibility][column]
        assert found == ([image.pk] if expected else [])


@pytest.mark.parametrize(("who", "codes"), MEMBERS.items())
def test_who_may_do_what_with_members(
    who: tuple[str, str], codes: tuple[int, ...], sign_in: Any, image_of: Any
) -> None:
    role, ownership = who
    client, image = sign_in(role), image_of("shared", ownership)
    member = MINE
    if ownership in ("own", "foreign"):
        member = "a-third-project"
        image.members.create(member=member)
    path = f"/v2/images/{image.pk}/members"
    accept = {"status": "accepted"}

    found = (
        client.get(path).status_code,
        client.get(f"{path}/{member}").status_code,
        client.put(f"{path}/{member}", accept, "application/json").status_code,
        client.delete(f"{path}/{member}").status_code,
    )

    assert found == codes


CREATE = {
    #            own  foreign owner  public  community
    "admin":   (201, 201,           201,    201),
    "member":  (201, 403,           403,    201),
    "reader":  (403, 403,           403,    403),
    "service": (403, 403,           403,    403),
    "none":    (403, 403,           403,    403),
}  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize("role", ROLES)
def test_who_may_create_what(role: str, sign_in: Any) -> None:
    client = sign_in(role)

    documents: tuple[dict[str, str], ...] = (
        {},
        {"owner": THEIRS},
        {"visibility": "public"},
        {"visibility": "community"},
    )
    found = tuple(
        client.post("/v2/images", it, "application/json").status_code
        for it in documents
    )

    assert found == CREATE[role]


# The same through API v1

V1_OPERATIONS = ("head", "data", "rename", "publish", "share", "delete")
V1_CODES = {
    ("admin", "all"):      (200, 200, 200, 200, None, 200),
    ("member", "own"):     (200, 200, 200, 403, None, 200),
    ("member", "seen"):    (200, 200, 403, 403, 404, 403),
    ("member", "hidden"):  (404,) * 6,
    ("reader", "own"):     (200, 403, 403, 403, 404, 403),
    ("reader", "seen"):    (200, 403, 403, 403, 404, 403),
    ("reader", "hidden"):  (404,) * 6,
    ("service", "own"):    (404,) * 6,
    ("service", "seen"):   (404,) * 6,
    ("service", "hidden"): (404,) * 6,
    ("none", "own"):       (404,) * 6,
    ("none", "seen"):      (404,) * 6,
    ("none", "hidden"):    (404,) * 6,
}  # fmt: skip
# Of a public image v1 keeps members for the day on which it is shared. Who may not share is
# told 404.
V1_SHARE = {"private": 404, "shared": 204, "community": 204, "public": 204}


def do_v1(client: Client, operation: str, image: Image) -> int:
    path = f"/v1/images/{image.pk}"
    name, public = {"X-Image-Meta-Name": "x"}, {"X-Image-Meta-Is-Public": "true"}
    answers: dict[str, Callable[[], Any]] = {
        "head": lambda: client.head(path),
        "data": lambda: client.get(path),
        "rename": lambda: client.generic("PUT", path, headers=name),
        "publish": lambda: client.generic("PUT", path, headers=public),
        "share": lambda: client.generic("PUT", f"{path}/members/x"),
        "delete": lambda: client.delete(path),
    }
    response = answers[operation]()
    b"".join(response)
    return response.status_code


@pytest.mark.once
@everybody
def test_who_may_do_what_through_v1(
    role: str, visibility: str, ownership: str, sign_in: Any, image_of: Any
) -> None:
    client = sign_in(role)
    codes = V1_CODES[role, relation(role, visibility, ownership)]
    expected = dict(zip(V1_OPERATIONS, codes, strict=True))
    if expected["share"] is None:
        expected["share"] = V1_SHARE[visibility]
    if (role, visibility, ownership) == ("member", "public", "own"):
        # What is public stays so when it is said again, as clients of v1 do.
        expected["publish"] = 200

    image = image_of(visibility, ownership)
    found = {it: undone(do_v1, client, it, image) for it in V1_OPERATIONS}

    assert found == expected
