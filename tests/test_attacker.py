"""An attacker with a project of its own, against the images of two others.

It knows every id and tries every endpoint with every method, with its own credentials, with
headers that a middleware would set, and with tokens that do not hold. It must neither read nor
change anything, nor even learn that an id exists: whatever it asks is answered as for an id
that nobody has.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core import signing
from django.test import Client
from django.urls import URLPattern, resolve

from imagecatalog.identity import (
    application_credentials,
    keystone,
    tokens,
    verification,
)
from imagecatalog.identity.api import urls as identity_urls
from imagecatalog.identity.models import (
    ApplicationCredential,
    Project,
    RoleAssignment,
    TokenGeneration,
)
from imagecatalog.identity.origin import Origin
from images.api.v1 import urls as v1_urls
from images.api.v2 import urls as v2_urls
from images.api.v2.patch import V2_1
from images.models import Event, Image, ImageLocation, Member, Transfer
from tests.servers import ROOT

pytestmark = pytest.mark.django_db

STATUSES = (
    "queued",
    "active",
    "deactivated",
    "saving",
    "uploading",
    "pending_delete",
    "deleted",
)
METHODS = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE")
FORGED = {
    "X-Identity-Status": "Confirmed",
    "X-Service-Identity-Status": "Confirmed",
    "X-Roles": "admin,service",
    "X-Role": "admin",
    "X-Service-Roles": "service",
    "X-Project-Id": "project-a",
    "X-Tenant-Id": "project-a",
    "X-Tenant": "project-a",
    "X-User-Id": "alice",
    "X-User": "alice",
    "X-Is-Admin-Project": "True",
    "X-Image-Meta-Owner": "project-a",
    "Openstack-System-Scope": "all",
    "Forwarded": "for=127.0.0.1",
    "X-Forwarded-For": "127.0.0.1",
    "Remote-User": "alice",
}
# What an upload that can be resumed wants; nobody else looks at it.
TUS = {"Tus-Resumable": "1.0.0", "Upload-Length": "10", "Upload-Offset": "0"}
# One path for each endpoint.
OF_AN_IMAGE = (
    "/v2/images/{}",
    "/v2/images/{}/file",
    "/v2/images/{}/actions/deactivate",
    "/v2/images/{}/actions/reactivate",
    "/v2/images/{}/actions/restore",
    "/v2/images/{}/history",
    "/v2/images/{}/import",
    "/v2/images/{}/locations",
    "/v2/images/{}/members",
    "/v2/images/{}/members/project-a",
    "/v2/images/{}/members/project-c",
    "/v2/images/{}/stage",
    "/v2/images/{}/tags/green",
    "/v2/images/{}/tasks",
    "/v2/images/{}/uploads",
    "/v2/images/{}/uploads/{upload}",
    "/v2/cache/{}",
    "/v2/cache/nodes/{}",
    "/v2/stores/local/{}",
    "/v1/images/{}",
    "/v1/images/{}/members",
    "/v1/images/{}/members/project-a",
    "/v1/images/{}/members/project-c",
)
METADEFS = ("objects", "properties", "tags", "resource_types")
NAMESPACE = "/v2/metadefs/namespaces/x"
LISTS_OF_V1 = ("/v1/images", "/v1/", "/v1/images/detail", "/v1/shared-images/project-a")
ELSEWHERE = (
    "/v2/images",
    "/v2/cache",
    "/v2/cache/clean",
    "/v2/cache/prune",
    "/v2/info/import",
    "/v2/info/stores",
    "/v2/info/stores/detail",
    "/v2/info/usage",
    "/v2/metadefs/namespaces",
    "/v2/metadefs/resource_types",
    NAMESPACE,
    *(f"{NAMESPACE}/{kind}{name}" for kind in METADEFS for name in ("", "/x")),
    "/v2/schemas/image",
    "/v2/tasks",
    "/v2/tasks/00000000-0000-4000-8000-000000000000",
    "/v2/nothing",
    "/v1/x",
    *LISTS_OF_V1,
)
KINDS = (
    Image,
    ImageLocation,
    Member,
    Transfer,
    Event,
    ApplicationCredential,
    TokenGeneration,
    RoleAssignment,
)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_valid", {})
    monkeypatch.setattr(verification, "_verified", {})


@pytest.fixture
def users() -> dict[str, User]:
    """alice and bob with images, and mallory, members of three projects; an admin."""
    made = {}
    for name, letter in (("alice", "a"), ("bob", "b"), ("mallory", "c"), ("root", "r")):
        user = User.objects.create_user(name, password="a good password")
        project = Project.objects.create(id=f"project-{letter}", name=letter)
        role = "admin" if name == "root" else "member"
        RoleAssignment.objects.create(user=user, project=project, role=role)
        made[name] = user
    return made


@pytest.fixture
def secrets(users: dict[str, User], make_image: Callable[..., Image]) -> list[Image]:
    """Images of the two others in every status, shared with each other and not with mallory."""
    made = []
    kinds = (
        ("project-a", "project-b", "private"),
        ("project-b", "project-a", "shared"),
    )
    for owner, friend, visibility in kinds:
        for status in STATUSES:
            image = make_image(
                status,
                owner=owner,
                visibility=visibility,
                name="secret",
                tags=["green"],
                properties={"kernel": "secret"},
            )
            image.members.create(member=friend, status="accepted")
            made.append(image)
    return made


def token_of(user: User, project: str | None) -> str:
    issued = tokens.issue(user.pk, project, ["password"])
    assert issued is not None
    return issued[0]


def new_credential(
    user: User, secret: str | None = None
) -> tuple[ApplicationCredential, str]:
    row, told = application_credentials.draft(user, "project-a", "key", secret=secret)
    application_credentials.store(row, Origin())
    return row, told


def snapshot() -> list[list[dict[str, Any]]]:
    """Everything that somebody could have changed."""
    return [list(kind.objects.order_by("pk").values()) for kind in KINDS]


def body(method: str, path: str) -> tuple[bytes, str]:
    """Return a body and content type that the endpoint accepts from a permitted caller."""
    if method == "PUT" and path.endswith(("/file", "/stage")):
        return b"other data", "application/octet-stream"
    if "/uploads" in path:
        return b"other data", "application/offset+octet-stream"
    if method == "PATCH":
        move = [{"op": "replace", "path": "/owner", "value": "project-c"}]
        return json.dumps(move).encode(), V2_1
    documents: Mapping[str, Any] = {
        "/locations": {"url": "http://127.0.0.1:9/data"},
        "/import": {"method": {"name": "glance-direct"}},
        "/members": {"member": "project-c"},
        "/members/project-c": {"status": "accepted"},
        "/members/project-a": {"status": "accepted"},
    }
    for end, document in documents.items():
        if path.endswith(end) and method in ("PUT", "POST"):
            return json.dumps(document).encode(), "application/json"
    return b"", ""


def ask(client: Client, method: str, path: str) -> tuple[int, bytes]:
    content, media_type = body(method, path)
    media_type = media_type or "text/plain"
    response = client.generic(method, path, content, media_type, headers=TUS)
    return response.status_code, b"".join(response)


def endpoints(image_id: str) -> Iterator[tuple[str, str]]:
    upload = upload_of(image_id)
    for path in OF_AN_IMAGE:
        for method in METHODS:
            yield method, path.format(image_id, upload=upload)


def upload_of(image_id: str) -> str:
    """The id of the image's transfer; of one that has none, or is nobody's, the image's own."""
    transfer = Transfer.objects.filter(image=image_id).first()
    return str(transfer.pk) if transfer else image_id


def unreached(patterns: list[Any], paths: list[str]) -> list[str]:
    """The routes among these patterns that none of the paths leads to."""
    reached = [resolve(path).route for path in paths]
    # Django drops the anchors of nested routes.
    routes = [
        str(it.pattern).removeprefix("^")
        for it in patterns
        if isinstance(it, URLPattern)
    ]
    return [route for route in routes if not any(it.endswith(route) for it in reached)]


def test_no_endpoint_is_forgotten_here() -> None:
    paths = [path for _, path in endpoints(str(uuid4()))] + list(ELSEWHERE)

    assert unreached(v2_urls.urlpatterns + v1_urls.urlpatterns, paths) == []


@pytest.mark.parametrize("headers", [{}, FORGED], ids=["plain", "forged"])
def test_an_id_of_others_is_like_one_that_nobody_has(
    headers: dict[str, str], users: dict[str, User], secrets: list[Image]
) -> None:
    token = token_of(users["mallory"], "project-c")
    client = Client(headers={"X-Auth-Token": token, **headers})

    def asked(image_id: str) -> list[tuple[int, bytes]]:
        upload, found = upload_of(image_id), []
        for method, path in endpoints(image_id):
            status, text = ask(client, method, path)
            for one in (image_id, upload):
                text = text.replace(one.encode(), b"ID")
            found.append((status, text))
        return found

    expected = asked(str(uuid4()))
    assert {status for status, _ in expected} <= {400, 404, 405}
    before = snapshot()

    for image in secrets:
        assert asked(image.pk) == expected, f"{image.visibility} {image.status}"
    assert snapshot() == before


LISTS = (
    "",
    "visibility=all",
    "visibility=private",
    "visibility=shared",
    "visibility=shared&member_status=all",
    "visibility=community",
    "visibility=public",
    "owner=project-a",
    "owner=project-a&visibility=all&member_status=all",
    "name=secret",
    "tag=green",
    "kernel=secret",
    "status=active",
    "status=pending_delete",
    "status=deleted",
    "os_hidden=true",
    "sort=name:asc",
    "limit=1000",
    "id=in:{ids}",
)


@pytest.mark.parametrize("headers", [{}, FORGED], ids=["plain", "forged"])
def test_no_list_has_an_image_of_others(
    headers: dict[str, str], users: dict[str, User], secrets: list[Image]
) -> None:
    token = token_of(users["mallory"], "project-c")
    client = Client(headers={"X-Auth-Token": token, **headers})
    ids = ",".join(image.pk for image in secrets)

    for query in LISTS:
        answer = client.get(f"/v2/images?{query.format(ids=ids)}")
        assert answer.status_code == 200, query
        assert answer.json()["images"] == [], query


def test_no_list_of_v1_has_an_image_of_others(
    users: dict[str, User], secrets: list[Image]
) -> None:
    token = token_of(users["mallory"], "project-c")
    client = Client(headers={"X-Auth-Token": token, **FORGED})

    for path in LISTS_OF_V1:
        for query in ("", "?is_public=None", "?is_public=false", "?name=secret"):
            answer = client.get(path + query)
            assert answer.status_code == 200, path
            assert [*answer.json().values()] == [[]], path + query


def test_a_marker_of_others_is_like_one_that_nobody_has(
    users: dict[str, User], secrets: list[Image]
) -> None:
    token = token_of(users["mallory"], "project-c")
    client = Client(headers={"X-Auth-Token": token})

    def marked(image_id: str) -> tuple[int, bytes]:
        answer = client.get(f"/v2/images?marker={image_id}")
        return answer.status_code, answer.content.replace(image_id.encode(), b"ID")

    assert {marked(image.pk) for image in secrets} == {marked(str(uuid4()))}


def expired(users: dict[str, User], monkeypatch: pytest.MonkeyPatch) -> str:
    then = time.time() - 7200
    with monkeypatch.context() as past:
        past.setattr(tokens.time, "time", lambda: then)
        return token_of(users["alice"], "project-a")


def revoked(users: dict[str, User], monkeypatch: pytest.MonkeyPatch) -> str:
    text = token_of(users["alice"], "project-a")
    valid = tokens.read(text)
    assert valid is not None
    tokens.revoke(valid.claims)
    return text


def of_an_old_generation(
    users: dict[str, User], monkeypatch: pytest.MonkeyPatch
) -> str:
    text = token_of(users["alice"], "project-a")
    tokens.revoke_all(users["alice"].pk)
    return text


def of_another_service(users: dict[str, User], monkeypatch: pytest.MonkeyPatch) -> str:
    text = token_of(users["alice"], "project-a")
    content = tokens._signer().unsign_object(text.removeprefix(tokens.PREFIX))
    signer = signing.Signer(key="the key of another", sep=".", salt=tokens.SALT)
    return tokens.PREFIX + signer.sign_object(content)


def altered(users: dict[str, User], monkeypatch: pytest.MonkeyPatch) -> str:
    """One's own token with the project of another in it."""
    text = token_of(users["mallory"], "project-c")
    content = tokens._signer().unsign_object(text.removeprefix(tokens.PREFIX))
    other = tokens._signer().sign_object({**content, "p": "project-a"})
    signature = text.rpartition(".")[2]
    return f"{tokens.PREFIX}{other.rpartition('.')[0]}.{signature}"


def signed_for_a_foreign_project(
    users: dict[str, User], monkeypatch: pytest.MonkeyPatch
) -> str:
    """Even with the service's own signature: the user has no role there."""
    text = token_of(users["mallory"], "project-c")
    content = tokens._signer().unsign_object(text.removeprefix(tokens.PREFIX))
    return tokens.PREFIX + tokens._signer().sign_object({**content, "p": "project-a"})


def of_a_key_that_expired(
    users: dict[str, User], monkeypatch: pytest.MonkeyPatch
) -> str:
    row, secret = new_credential(users["alice"])
    ApplicationCredential.objects.update(expires_at="2020-01-01T00:00:00Z")
    return f"{row.pk}.{secret}"


def of_keystone(users: dict[str, User], monkeypatch: pytest.MonkeyPatch) -> str:
    return "gAAAAABmT0kenOfAKeystoneThatIsNotAsked"


def nothing(users: dict[str, User], monkeypatch: pytest.MonkeyPatch) -> str:
    return ""


@pytest.mark.parametrize(
    "make",
    [
        expired,
        revoked,
        of_an_old_generation,
        of_another_service,
        altered,
        signed_for_a_foreign_project,
        of_a_key_that_expired,
        of_keystone,
        nothing,
    ],
)
def test_with_a_token_that_does_not_hold_everything_is_401(
    make: Callable[..., str],
    users: dict[str, User],
    secrets: list[Image],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = Client(headers={"X-Auth-Token": make(users, monkeypatch), **FORGED})
    before = snapshot()

    for image in secrets[:6]:
        found = {ask(client, *it) for it in endpoints(image.pk) if it[0] != "HEAD"}
        # 429: who goes on with a wrong secret has to wait.
        assert {status for status, _ in found} <= {401, 429}
        assert len({text for status, text in found if status == 401}) <= 1
        assert b"secret" not in b"".join(it for _, it in found)
    for path in ELSEWHERE:
        assert client.get(path).status_code in (401, 429)
    assert snapshot() == before


def test_without_a_project_one_is_nobody_even_to_one_s_own_images(
    users: dict[str, User], secrets: list[Image]
) -> None:
    client = Client(headers={"X-Auth-Token": token_of(users["alice"], None), **FORGED})
    before = snapshot()

    for image in secrets:
        found = {ask(client, *it)[0] for it in endpoints(image.pk)}
        assert found <= {400, 404, 405}, image.status
    for path in ("/v2/images", *LISTS_OF_V1):
        assert client.get(path).status_code == 403, path
    created = client.post("/v2/images", {}, "application/json")
    assert created.status_code == 403
    assert snapshot() == before


# The identity face


def identity_paths(users: dict[str, User], who: str, made: str) -> list[str]:
    user = users[who].pk if who else 987_654
    project = f"project-{who[0]}" if who else "no-such-project"
    credentials_of = f"users/{user}/application_credentials"
    return [
        f"users/{user}",
        f"projects/{project}",
        f"projects?name={project[-1] if who else 'x'}",
        credentials_of,
        f"{credentials_of}/{made}",
    ]


def test_no_endpoint_of_the_identity_api_is_forgotten_here(
    users: dict[str, User],
) -> None:
    paths = [f"/{it}".split("?")[0] for it in identity_paths(users, "alice", "x")]
    own = ("/auth/tokens", "/auth/projects", "/auth/catalog", "/projects")
    open_to_all = ("/roles", "/roles/x", "", "/x")
    paths += [*own, *open_to_all]

    reached = ["/identity", *(f"/identity/v3{path}" for path in paths)]
    assert unreached(identity_urls.urlpatterns, reached) == []


@pytest.mark.parametrize("headers", [{}, FORGED], ids=["plain", "forged"])
def test_users_projects_and_credentials_of_others_are_like_those_that_nobody_has(
    headers: dict[str, str], users: dict[str, User]
) -> None:
    row, _ = new_credential(users["alice"])
    token = token_of(users["mallory"], "project-c")
    client = Client(headers={"X-Auth-Token": token, **headers})
    before = snapshot()

    def asked(who: str, made: str) -> list[tuple[int, bytes]]:
        return [
            ask(client, method, f"/identity/v3/{path}")
            for path in identity_paths(users, who, made)
            for method in METHODS
        ]

    others = asked("alice", row.pk)
    assert others == asked("", "0" * 32)
    assert {status for status, _ in others} <= {400, 403, 404, 405}
    own = f"/identity/v3/users/{users['mallory'].pk}/application_credentials/{row.pk}"
    assert client.get(own).status_code == 404
    assert client.delete(own).status_code == 404
    assert snapshot() == before


def test_a_credential_of_another_is_not_found_by_its_name(
    users: dict[str, User],
) -> None:
    new_credential(users["alice"], secret="a secret I chose")
    user = {"name": "mallory", "domain": {"id": "default"}}
    given = {"name": "key", "user": user, "secret": "a secret I chose"}
    identity = {"methods": ["application_credential"], "application_credential": given}

    answer = Client().post(
        "/identity/v3/auth/tokens", {"auth": {"identity": identity}}, "application/json"
    )

    assert answer.status_code == 401


# Behind a middleware


def through_keystone(settings: Any, **headers: str) -> tuple[list[str], Any]:
    """What is answered, and what the application finds, with a Keystone that is not there."""
    settings.IMAGECATALOG_AUTH = "keystone"
    settings.IMAGECATALOG_KEYSTONE_URL = "http://127.0.0.1:9/v3"
    seen: list[dict[str, Any]] = []
    answered: list[str] = []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append(environ)
        start_response("200 OK", [])
        return [b""]

    environ = Client()._base_environ()
    for name, value in headers.items():
        environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
    list(keystone.protect(application)(environ, lambda *args: answered.append(args[0])))
    return answered, seen


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inside the middleware
def test_in_keystone_mode_forged_headers_are_taken_away(settings: Any) -> None:
    _, (found,) = through_keystone(settings, **FORGED)

    assert found["HTTP_X_IDENTITY_STATUS"] == "Invalid"
    for name in ("X_ROLES", "X_PROJECT_ID", "X_USER_ID", "X_SERVICE_ROLES"):
        assert not found.get(f"HTTP_{name}")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_keystone_that_does_not_answer_makes_nobody_wrong(settings: Any) -> None:
    answered, seen = through_keystone(settings, **{"X-Auth-Token": "a", **FORGED})

    assert answered == ["503 Service Unavailable"]
    assert seen == []


def test_nothing_but_the_sign_in_reads_identity_headers() -> None:
    names = ("HTTP_X_ROLES", "HTTP_X_PROJECT_ID", "HTTP_X_IDENTITY_STATUS", "X-Roles")
    readers = {
        path.name
        for top in ("images", "imagecatalog")
        for path in (ROOT / top).rglob("*.py")
        if any(name in path.read_text() for name in names)
    }

    assert readers == {"authentication.py"}
