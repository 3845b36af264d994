from __future__ import annotations

import json
import re
from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admindocs.views import simplify_regex
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imagecatalog.identity import (
    application_credentials,
    throttle,
    tokens,
    verification,
)
from imagecatalog.identity.api import urls as identity_urls
from imagecatalog.identity.models import ApplicationCredential, SignInEvent
from images.api.v2.patch import V2_1 as PATCH
from images.models import Image
from tests.identity.conftest import PASSWORD

Made = dict[str, Any]
WRITING = ["add_image", "modify_image"]


@pytest.fixture
def make(identity: Any, alice: User) -> Any:
    """``make(name="robot", …)``: an application credential of alice's in lab, with its secret."""
    token = identity.sign_in("alice", "lab")

    def make(**given: Any) -> Made:
        document = {"application_credential": {"name": "robot", **given}}
        path = f"users/{alice.pk}/application_credentials"
        answer = identity.post(document, path, **{"X-Auth-Token": token})
        assert answer.status_code == 201, answer.content
        return answer.json()["application_credential"]

    return make


def key(made: Made) -> str:
    return f"{made['id']}.{made['secret']}"


def code(**headers: str) -> int:
    return Client().get("/v2/images", headers=headers).status_code


# Making one


def test_a_credential_is_made_with_a_secret_that_is_told_once(
    identity: Any, alice: User, make: Any
) -> None:
    made = make(description="of the build farm")

    path = f"users/{alice.pk}/application_credentials"
    token = identity.sign_in("alice", "lab")
    listed = identity.get(path, token).json()["application_credentials"]
    shown = identity.get(f"{path}/{made['id']}", token).json()["application_credential"]
    assert listed == [shown]
    assert shown == {name: made[name] for name in made if name != "secret"}
    assert shown["project_id"] == "id-of-lab"
    assert made["secret"] not in ApplicationCredential.objects.get().secret


def test_a_secret_may_be_chosen(identity: Any, make: Any) -> None:
    made = make(secret="a secret of my own")

    assert (
        identity.try_credential("a secret of my own", id=made["id"]).status_code == 201
    )
    assert not ApplicationCredential.objects.get().secret.startswith("sha256$")


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({}, 400),
        ({"name": ""}, 400),
        ({"name": 3}, 400),
        ({"name": "x" * 256}, 400),
        ({"name": "x", "secret": "short"}, 400),
        ({"name": "x", "secret": 3}, 400),
        ({"name": "x", "expires_at": "2020-01-01T00:00:00"}, 400),
        ({"name": "x", "expires_at": "soon"}, 400),
        ({"name": "x", "expires_at": "2026-13-41T00:00:00"}, 400),
        ({"name": "x", "expires_at": "9999-12-31T23:59:59-23:59"}, 400),
        ({"name": "x", "expires_at": "0001-01-01T00:00:00+23:59"}, 400),
        ({"name": "x", "expires_at": 3}, 400),
        ({"name": "x", "roles": [{"name": "admin"}]}, 403),
        ({"name": "x", "roles": [{"name": "king"}]}, 400),
        ({"name": "x", "roles": ["member"]}, 400),
        ({"name": "x", "roles": "member"}, 400),
        ({"name": "x", "unrestricted": True}, 403),
        ({"name": "x", "access_rules": [{"method": "GET"}]}, 400),
        ({"name": "x", "actions": "get_image"}, 400),
        ({"name": "x", "actions": ["fly"]}, 400),
        ({"name": "x", "actions": []}, 400),
        ({"name": "robot"}, 409),
    ],
)
def test_what_cannot_be_is_refused(
    identity: Any, alice: User, make: Any, given: Any, status: int
) -> None:
    make()
    headers = {"X-Auth-Token": identity.sign_in("alice", "lab")}
    path = f"users/{alice.pk}/application_credentials"

    answer = identity.post({"application_credential": given}, path, **headers)

    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert ApplicationCredential.objects.count() == 1


def test_a_credential_makes_no_others(identity: Any, alice: User, make: Any) -> None:
    made = make()
    token = identity.try_credential(made["secret"], id=made["id"])
    headers = {"X-Auth-Token": token.headers["X-Subject-Token"]}
    path = f"users/{alice.pk}/application_credentials"

    more = identity.post({"application_credential": {"name": "x"}}, path, **headers)
    gone = identity.delete(f"{path}/{made['id']}", headers["X-Auth-Token"])

    assert (more.status_code, gone.status_code) == (403, 403)


def test_without_a_project_there_is_nothing_to_make_it_for(
    identity: Any, alice: User
) -> None:
    headers = {"X-Auth-Token": identity.sign_in("alice")}
    path = f"users/{alice.pk}/application_credentials"

    answer = identity.post({"application_credential": {"name": "x"}}, path, **headers)

    assert answer.status_code == 403


def test_nobody_reaches_those_of_another(
    identity: Any, alice: User, root: User, make: Any
) -> None:
    made = make()
    admin = identity.sign_in("root", "admin")

    for user in (alice.pk, root.pk):
        path = f"users/{user}/application_credentials/{made['id']}"
        assert identity.get(path, admin).status_code in (403, 404)
        assert identity.delete(path, admin).status_code in (403, 404)
    assert (
        identity.get(f"users/{alice.pk}/application_credentials", admin).status_code
        == 403
    )
    assert ApplicationCredential.objects.count() == 1


# Signing in


def test_it_gives_a_token_by_id_and_by_name(
    identity: Any, alice: User, make: Any
) -> None:
    made = make()
    user = {"name": "alice", "domain": {"id": "default"}}

    by_id = identity.try_credential(made["secret"], id=made["id"])
    by_name = identity.try_credential(made["secret"], name="robot", user=user)

    for answer in (by_id, by_name):
        token = answer.json()["token"]
        assert answer.status_code == 201
        assert token["project"]["id"] == "id-of-lab"
        assert token["application_credential"]["id"] == made["id"]
        assert identity.images(answer.headers["X-Subject-Token"]) == 200


def test_it_signs_in_as_a_key_too(make: Any) -> None:
    made = make()
    pair = f"{made['id']}:{made['secret']}".encode()
    basic = b64encode(pair).decode()
    assert code(**{"X-Auth-Token": key(made)}) == 200
    assert code(Authorization=f"Bearer {key(made)}") == 200
    assert code(Authorization=f"Basic {basic}") == 200


def test_a_wrong_secret_is_401(identity: Any, make: Any) -> None:
    made = make()

    assert identity.try_credential("wrong", id=made["id"]).status_code == 401
    assert identity.try_credential(made["secret"], id="0" * 32).status_code == 401
    assert identity.try_credential(made["secret"], id="x\0").status_code == 400
    assert code(**{"X-Auth-Token": f"{made['id']}.wrong"}) == 401
    assert code(**{"X-Auth-Token": f"{'0' * 32}.{made['secret']}"}) == 401
    assert code(**{"X-Auth-Token": made["secret"]}) == 401


@pytest.mark.parametrize("name", ["robot", "nothing"])
@pytest.mark.parametrize("user", ["alice", "nobody"])
def test_whether_a_name_exists_does_not_show_in_how_often_one_may_try(
    user: str, name: str, identity: Any, make: Any
) -> None:
    make()
    which = {"name": name, "user": {"name": user, "domain": {"id": "default"}}}

    codes = [
        identity.try_credential("wrong", **which).status_code
        for _ in range(throttle.BY_BOTH + 1)
    ]

    assert codes == [401] * throttle.BY_BOTH + [429]


def test_its_token_is_for_its_project_and_is_not_exchanged(
    identity: Any, make: Any
) -> None:
    made = make()
    token = identity.try_credential(made["secret"], id=made["id"])

    answer = identity.exchange(token.headers["X-Subject-Token"], "archive")

    assert answer.status_code == 403


def test_it_outlives_the_password(identity: Any, alice: User, make: Any) -> None:
    made = make()
    alice.set_password("another one")
    alice.save()

    answer = identity.try_credential(made["secret"], id=made["id"])

    assert answer.status_code == 201
    assert identity.images(answer.headers["X-Subject-Token"]) == 200


def test_a_new_secret_key_ends_tokens_only(
    identity: Any, make: Any, settings: Any
) -> None:
    made, token = make(), identity.sign_in("alice", "lab")
    basic = b64encode(f"alice:{PASSWORD}".encode()).decode()

    settings.SECRET_KEY = "x" * 50
    tokens.forget()
    verification.forget()

    assert identity.images(token) == 401
    assert code(**{"X-Auth-Token": key(made)}) == 200
    assert identity.try_credential(made["secret"], id=made["id"]).status_code == 201
    assert code(Authorization=f"Basic {basic}") == 200
    assert identity.images(identity.sign_in("alice", "lab")) == 200


@pytest.mark.parametrize(
    "end",
    [
        lambda user: user.application_credentials.get().delete(),
        lambda user: user.assignments.all().delete(),
        lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
        lambda user: ApplicationCredential.objects.update(
            expires_at=timezone.now() - timedelta(seconds=1)
        ),
    ],
)
def test_it_ends_and_its_tokens_with_it(
    identity: Any, alice: User, make: Any, end: Any
) -> None:
    made = make()
    answer = identity.try_credential(made["secret"], id=made["id"])
    token = answer.headers["X-Subject-Token"]
    assert (identity.images(token), code(**{"X-Auth-Token": key(made)})) == (200, 200)

    end(alice)
    verification.forget()  # what another process knows a second later
    tokens.forget()

    assert (identity.images(token), code(**{"X-Auth-Token": key(made)})) == (401, 401)
    assert identity.try_credential(made["secret"], id=made["id"]).status_code == 401


# What it may


def test_it_may_less_than_its_user(identity: Any, make: Any) -> None:
    made = make(roles=[{"name": "reader"}])

    answer = Client(headers={"X-Auth-Token": key(made)}).post(
        "/v2/images", {}, content_type="application/json"
    )

    assert answer.status_code == 403
    assert [role["name"] for role in made["roles"]] == ["reader"]


def test_it_may_never_more_than_its_user(alice: User, make: Any) -> None:
    made = make()
    assignment = alice.assignments.get(project="id-of-lab")
    assignment.role = "reader"
    assignment.save(update_fields=["role"])

    answer = Client(headers={"X-Auth-Token": key(made)}).post(
        "/v2/images", {}, content_type="application/json"
    )

    assert answer.status_code == 403


@pytest.mark.parametrize("how", ["key", "token"])
def test_it_may_only_what_it_was_made_for(
    identity: Any, make: Any, make_image: Any, how: str
) -> None:
    image = make_image("active", owner="id-of-lab")
    made = make(actions=["get_image", "download_image"])
    token = key(made)
    if how == "token":
        answer = identity.try_credential(made["secret"], id=made["id"])
        token = answer.headers["X-Subject-Token"]
    client = Client(headers={"X-Auth-Token": token})

    path = f"/v2/images/{image.pk}"
    assert client.get(path).status_code == 200
    assert client.get(f"{path}/file").status_code == 200
    assert client.get("/v2/images").status_code == 403
    assert client.delete(path).status_code == 403
    assert client.put(f"{path}/tags/x").status_code == 403
    assert client.post("/v2/images", {}, "application/json").status_code == 403


def test_it_is_answered_when_it_was_made_for_writing_only(
    make: Any, make_image: Any
) -> None:
    client = Client(headers={"X-Auth-Token": key(make(actions=WRITING))})
    path = make_image(owner="id-of-lab").pk

    named = {"name": "n", "visibility": "private"}
    made = client.post("/v2/images", named, content_type="application/json")
    assert (made.status_code, made.json()["name"]) == (201, "n")
    change = [{"op": "replace", "path": "/name", "value": "other"}]
    changed = client.patch(f"/v2/images/{path}", json.dumps(change), PATCH)
    assert (changed.status_code, changed.json()["name"]) == (200, "other")
    made = client.generic("POST", "/v1/images", headers={"x-image-meta-name": "n"})
    assert (made.status_code, made.json()["image"]["name"]) == (201, "n")
    changed = client.put(f"/v1/images/{path}", headers={"x-image-meta-name": "third"})
    assert (changed.status_code, changed.json()["image"]["name"]) == (200, "third")
    assert client.get(f"/v2/images/{path}").status_code == 403


def test_one_for_lists_reads_all_pages(make: Any, make_image: Any) -> None:
    client = Client(headers={"X-Auth-Token": key(make(actions=["get_images"]))})
    for _ in range(2):
        make_image(owner="id-of-lab")

    first = client.get("/v2/images?limit=1").json()
    second = client.get(first["next"])

    assert second.status_code == 200
    assert second.json()["images"][0]["id"] != first["images"][0]["id"]


def test_an_admin_s_that_may_not_give_images_away_is_refused_by_both_versions(
    identity: Any, root: User, make_image: Any
) -> None:
    path = make_image(owner="id-of-lab").pk
    made = of_admin(identity, root, ["modify_image"])
    client = Client(headers={"X-Auth-Token": key(made)})

    change = [{"op": "replace", "path": "/owner", "value": "another"}]
    assert (
        client.patch(f"/v2/images/{path}", json.dumps(change), PATCH).status_code == 403
    )
    owner = {"x-image-meta-owner": "another"}
    assert client.put(f"/v1/images/{path}", headers=owner).status_code == 403
    assert Image.objects.get().owner == "id-of-lab"


def test_an_admin_s_may_be_for_restoring_or_for_histories_only(
    identity: Any, root: User, make_image: Any
) -> None:
    path = make_image("pending_delete", data=b"x", owner="id-of-lab").pk
    reading = of_admin(identity, root, ["get_image_history"])
    restoring = of_admin(identity, root, ["restore_image"], name="restorer")

    read = Client(headers={"X-Auth-Token": key(reading)})
    restore = Client(headers={"X-Auth-Token": key(restoring)})
    assert read.get(f"/v2/images/{path}/history").status_code == 200
    assert restore.get(f"/v2/images/{path}/history").status_code == 403
    for client, expected in ((read, 403), (restore, 204)):
        answer = client.generic("POST", f"/v2/images/{path}/actions/restore")
        assert answer.status_code == expected
    assert read.get(f"/v2/images/{path}/history").status_code == 200


def of_admin(
    identity: Any, root: User, actions: list[str], name: str = "robot"
) -> Made:
    headers = {"X-Auth-Token": identity.sign_in("root", "admin")}
    given = {"name": name, "actions": actions}
    path = f"users/{root.pk}/application_credentials"
    made = identity.post({"application_credential": given}, path, **headers).json()
    return made["application_credential"]


@pytest.fixture
def limited(identity: Any, root: User) -> str:
    """A token of an application credential of an admin that allows only the action get_image."""
    made = of_admin(identity, root, ["get_image"])
    token = identity.try_credential(made["secret"], id=made["id"])
    return token.headers["X-Subject-Token"]


def test_an_admin_s_that_names_its_actions_sees_nothing_of_others(
    identity: Any, alice: User, limited: str
) -> None:
    subject = {"X-Subject-Token": identity.sign_in("alice", "lab")}

    assert identity.get(f"users/{alice.pk}", limited).status_code == 403
    assert identity.get("projects/id-of-lab", limited).status_code == 403
    names = [it["name"] for it in identity.get("projects", limited).json()["projects"]]
    assert names == ["admin"]
    assert identity.get("auth/tokens", limited, **subject).status_code == 404
    assert identity.delete("auth/tokens", limited, **subject).status_code == 404
    assert identity.images(subject["X-Subject-Token"]) == 200


def test_it_knows_of_its_user_s_tokens_only_its_own(
    identity: Any, root: User, limited: str
) -> None:
    other = {"X-Subject-Token": identity.sign_in("root", "admin")}
    own = {"X-Subject-Token": limited}

    assert identity.get("auth/tokens", limited, **other).status_code == 404
    assert identity.delete("auth/tokens", limited, **other).status_code == 404
    assert identity.get("auth/tokens", limited, **own).status_code == 200
    assert identity.delete("auth/tokens", limited, **own).status_code == 204
    assert identity.get("auth/projects", limited).status_code == 401


def test_one_for_some_actions_sees_nothing_else_of_its_user(
    identity: Any, alice: User, make: Any
) -> None:
    own, other = make(name="mirror", actions=["get_image"]), make(name="other-one")
    signed_in = identity.try_credential(own["secret"], id=own["id"])
    token = signed_in.headers["X-Subject-Token"]
    credentials = f"users/{alice.pk}/application_credentials"

    codes = {
        path: identity.get(path, token).status_code
        for path in (
            credentials,
            f"{credentials}/{other['id']}",
            "projects/id-of-archive",
        )
    }
    shown = identity.get(f"{credentials}/{own['id']}", token).json()
    deleted = identity.delete(f"{credentials}/{own['id']}", token)

    assert set(codes.values()) == {403}, codes
    assert shown["application_credential"]["name"] == "mirror"
    assert deleted.status_code == 403


def test_no_path_tells_one_for_some_actions_of_other_projects_or_credentials(
    identity: Any, alice: User, make: Any
) -> None:
    own = make(name="mirror", actions=["get_image"])
    make(name="other-one")
    signed_in = identity.try_credential(own["secret"], id=own["id"])
    token = signed_in.headers["X-Subject-Token"]
    ids = {"user_id": alice.pk, "project_id": "id-of-lab", "role_id": "member"}

    for pattern in identity_urls.urlpatterns:
        path = re.sub(
            r"<(\w+)>",
            lambda name: str(ids.get(name[1], own["id"])),
            simplify_regex(str(pattern.pattern)),
        ).replace("//", "/")
        text = identity.get(path.removeprefix("/v3/"), token).content.decode()
        assert "other-one" not in text, path
        assert "archive" not in text, path


@pytest.mark.parametrize("path", ["auth/projects", "projects"])
def test_it_knows_of_its_user_s_projects_only_its_own(
    path: str, identity: Any, make: Any
) -> None:
    made = make()
    signed_in = identity.try_credential(made["secret"], id=made["id"])

    listed = identity.get(path, signed_in.headers["X-Subject-Token"]).json()

    assert [project["name"] for project in listed["projects"]] == ["lab"]


# What it costs


def test_its_use_is_noted_but_not_every_time(alice: User, make: Any) -> None:
    made = make()
    assert ApplicationCredential.objects.get().last_used_at is None
    assert code(**{"X-Auth-Token": key(made)}) == 200
    first = ApplicationCredential.objects.get().last_used_at

    with CaptureQueriesContext(connection) as queries:
        assert code(**{"X-Auth-Token": key(made)}) == 200

    assert first is not None
    assert ApplicationCredential.objects.get().last_used_at == first
    assert len(queries) == 1  # the list itself


def test_there_is_a_limit_for_each_user(
    alice: User, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application_credentials, "LIMIT", 1)
    make()

    with pytest.raises(Exception, match="already has 1 .*Delete one"):
        application_credentials.draft(alice, "id-of-lab", "x")


def test_making_and_ending_one_is_on_record(
    identity: Any, alice: User, make: Any
) -> None:
    made = make()
    path = f"users/{alice.pk}/application_credentials/{made['id']}"
    identity.delete(path, identity.sign_in("alice", "lab"))

    verbs = SignInEvent.objects.filter(verb__contains="credential")
    assert [event.verb for event in verbs.order_by("id")] == [
        "application_credential_create",
        "application_credential_delete",
    ]
    assert made["secret"] not in str(list(SignInEvent.objects.values()))
