from __future__ import annotations

import time
from base64 import b64encode
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import signing
from django.db import connection
from django.test.utils import CaptureQueriesContext

from imagecatalog.identity import throttle, tokens, verification
from imagecatalog.identity.models import Project, RevokedToken, SignInEvent
from tests.identity.conftest import user

PASSWORD = "correct horse battery"
BASE = "http://images.example.org"
SCOPES = [
    {"project": {"id": "id-of-lab"}},
    {"project": {"name": "lab", "domain": {"id": "default"}}},
    {"project": {"name": "lab", "domain": {"name": "Default"}}},
]


def ask(identity: Any, user: Any, scope: Any = None) -> Any:
    auth = {"identity": {"methods": ["password"], "password": {"user": user}}}
    return identity.post({"auth": auth | ({"scope": scope} if scope else {})})


# With a password


@pytest.mark.parametrize("scope", SCOPES)
def test_a_password_gives_a_token_for_a_project(
    identity: Any, alice: User, scope: Any
) -> None:
    user = {"name": "alice", "domain": {"id": "default"}, "password": PASSWORD}

    answer = ask(identity, user, scope)

    token = answer.json()["token"]
    assert answer.status_code == 201
    assert token["project"]["id"] == "id-of-lab"
    assert token["user"]["name"] == "alice"
    assert [role["name"] for role in token["roles"]] == ["member", "reader"]
    assert token["methods"] == ["password"]
    assert identity.images(answer.headers["X-Subject-Token"]) == 200


def test_a_user_is_known_by_its_id_too(identity: Any, alice: User) -> None:
    user = {"id": str(alice.pk), "password": PASSWORD}

    assert ask(identity, user, SCOPES[0]).status_code == 201


def test_the_catalogue_has_image_and_identity_in_every_interface(
    identity: Any, alice: User
) -> None:
    token = identity.try_password("alice", project="lab").json()["token"]

    urls = {
        (service["type"], endpoint["interface"]): endpoint["url"]
        for service in token["catalog"]
        for endpoint in service["endpoints"]
    }
    kinds = ("image", BASE), ("identity", f"{BASE}/identity")
    interfaces = ("public", "internal", "admin")
    assert urls == {(kind, it): url for kind, url in kinds for it in interfaces}


def test_without_a_scope_a_token_is_for_no_project(identity: Any, alice: User) -> None:
    answer = identity.try_password("alice")

    token = answer.json()["token"]
    assert answer.status_code == 201
    assert not {"project", "roles", "catalog"} & set(token)
    assert identity.images(answer.headers["X-Subject-Token"]) == 403


@pytest.mark.parametrize(
    ("name", "password", "project"),
    [
        ("alice", "wrong", "lab"),
        ("nobody", PASSWORD, "lab"),
        ("alice", PASSWORD, "works"),
        ("alice", PASSWORD, "nowhere"),
    ],
)
def test_a_wrong_password_and_a_foreign_project_are_401(
    identity: Any, alice: User, bob: User, name: str, password: str, project: str
) -> None:
    answer = identity.try_password(name, password, project)

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == 401
    assert answer.headers["WWW-Authenticate"] == (
        'Keystone uri="http://images.example.org/identity"'
    )


@pytest.mark.parametrize(
    "scope",
    [
        {"domain": {"id": "default"}},
        {"system": {"all": True}},
        {"project": {"name": "lab", "domain": {"id": "other"}}},
        {"project": {"id": "id-of-lab"}, "domain": {"id": "default"}},
    ],
)
def test_a_scope_that_nobody_can_have_is_401(
    identity: Any, alice: User, scope: Any
) -> None:
    user = {"name": "alice", "password": PASSWORD}

    assert ask(identity, user, scope).status_code == 401


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"auth": 1},
        {"auth": {"identity": {}}},
        {"auth": {"identity": {"methods": []}}},
        {"auth": {"identity": {"methods": ["password", "token"]}}},
        {"auth": {"identity": {"methods": ["password"]}}},
        {"auth": {"identity": {"methods": ["password"], "password": {"user": 3}}}},
        {"auth": {"identity": {"methods": ["password"], "password": {"user": {}}}}},
        {"auth": {"identity": {"methods": ["application_credential"]}}},
    ],
)
def test_a_malformed_document_is_400(identity: Any, document: Any) -> None:
    assert identity.post(document).status_code == 400


@pytest.mark.parametrize("methods", [["totp"], [3], [None], [{}]])
def test_other_methods_are_401(identity: Any, methods: Any) -> None:
    answer = identity.post({"auth": {"identity": {"methods": methods}}})

    assert answer.status_code == 401


@pytest.mark.parametrize(
    "user",
    [
        {"name": "al\0ice", "password": PASSWORD},
        {"name": "x" * 10_000, "password": PASSWORD},
        {"id": "9" * 40, "password": PASSWORD},
        {"id": "²", "password": PASSWORD},
        {"name": "alice", "domain": {"name": 3}, "password": PASSWORD},
        {"name": "alice", "domain": [], "password": PASSWORD},
        {"name": 3, "password": PASSWORD},
    ],
)
def test_no_user_that_can_be_named_breaks_the_service(
    identity: Any, alice: User, user: Any
) -> None:
    assert ask(identity, user).status_code in (400, 401)


@pytest.mark.parametrize(
    "user",
    [
        {"id": "999"},
        {"id": "x"},
        {"name": "nobody"},
        {"name": "alice", "domain": {"id": "other"}},
    ],
)
def test_a_user_that_does_not_exist_takes_as_long_as_one_that_does(
    identity: Any, alice: User, monkeypatch: pytest.MonkeyPatch, user: Any
) -> None:
    made: list[str] = []
    monkeypatch.setattr(verification, "make_password", made.append)

    answer = ask(identity, user | {"password": PASSWORD})

    assert (answer.status_code, made) == (401, [PASSWORD])


def test_whether_a_user_exists_does_not_show_in_how_often_one_may_try(
    identity: Any, alice: User
) -> None:
    codes = []
    for number, key in enumerate((str(alice.pk), "999", "998")):
        identity.client.defaults["REMOTE_ADDR"] = f"10.0.0.{number}"
        document = {"id": key, "password": "x"}
        tries = range(throttle.BY_BOTH + 1)
        codes.append([ask(identity, document).status_code for _ in tries])

    assert codes == [[401] * throttle.BY_BOTH + [429]] * 3


def test_another_domain_has_no_users(identity: Any, alice: User) -> None:
    user = {"name": "alice", "domain": {"id": "other"}, "password": PASSWORD}

    assert ask(identity, user).status_code == 401


# With a token


def test_a_token_is_exchanged_for_one_of_another_project(
    identity: Any, alice: User
) -> None:
    unscoped = identity.try_password("alice")
    token = unscoped.headers["X-Subject-Token"]

    answer = identity.exchange(token, "archive")

    new = answer.json()["token"]
    assert new["project"]["name"] == "archive"
    assert new["expires_at"] == unscoped.json()["token"]["expires_at"]
    assert new["audit_ids"][1] == unscoped.json()["token"]["audit_ids"][0]
    assert [role["name"] for role in new["roles"]] == ["reader"]


def test_a_token_is_not_exchanged_for_a_foreign_project(
    identity: Any, alice: User, bob: User
) -> None:
    assert identity.exchange(identity.sign_in("alice"), "works").status_code == 401


def test_the_holder_sees_its_projects_and_the_catalogue(
    identity: Any, alice: User, bob: User
) -> None:
    token = identity.sign_in("alice", "lab")

    projects = identity.get("auth/projects", token).json()["projects"]
    catalogue = identity.get("auth/catalog", token).json()["catalog"]
    assert [project["name"] for project in projects] == ["archive", "lab"]
    names = {service["type"]: service["name"] for service in catalogue}
    assert names == {"image": "glance", "identity": "keystone"}


def test_a_token_tells_about_itself(identity: Any, alice: User) -> None:
    token = identity.sign_in("alice", "lab")
    subject = {"X-Subject-Token": token}

    shown = identity.get("auth/tokens", token, **subject)
    checked = identity.client.head(
        "/identity/v3/auth/tokens", headers={"X-Auth-Token": token, **subject}
    )

    assert shown.json()["token"]["user"]["name"] == "alice"
    assert (checked.status_code, checked.content) == (200, b"")


def test_only_an_admin_asks_about_the_token_of_another(
    identity: Any, alice: User, bob: User, root: User
) -> None:
    subject = {"X-Subject-Token": identity.sign_in("alice", "lab")}
    other, admin = identity.sign_in("bob", "works"), identity.sign_in("root", "admin")

    assert identity.get("auth/tokens", other, **subject).status_code == 404
    assert identity.delete("auth/tokens", other, **subject).status_code == 404
    assert identity.get("auth/tokens", admin, **subject).status_code == 200
    assert identity.images(subject["X-Subject-Token"]) == 200


# The end of a token


def test_a_revoked_token_is_over(identity: Any, alice: User) -> None:
    token = identity.sign_in("alice", "lab")

    revoked = identity.delete("auth/tokens", token, **{"X-Subject-Token": token})

    assert revoked.status_code == 204
    assert identity.images(token) == 401
    assert identity.get("auth/projects", token).status_code == 401


def test_so_are_those_that_were_made_from_it_and_no_others(
    identity: Any, alice: User
) -> None:
    token, other = identity.sign_in("alice"), identity.sign_in("alice", "lab")
    child = identity.exchange(token, "lab").headers["X-Subject-Token"]
    grandchild = identity.exchange(child, "lab").headers["X-Subject-Token"]

    identity.delete("auth/tokens", token, **{"X-Subject-Token": token})

    assert [identity.images(it) for it in (child, grandchild)] == [401, 401]
    assert identity.images(other) == 200


def test_all_tokens_of_a_user_end_at_once(
    identity: Any, alice: User, bob: User
) -> None:
    mine, other = identity.sign_in("alice", "lab"), identity.sign_in("bob", "works")

    tokens.revoke_all(alice.pk)

    assert (identity.images(mine), identity.images(other)) == (401, 200)
    assert identity.images(identity.sign_in("alice", "lab")) == 200


def new_password(user: User) -> None:
    user.set_password("another one")
    user.save()


def disable(user: User) -> None:
    user.is_active = False
    user.save(update_fields=["is_active"])


@pytest.mark.parametrize(
    "end",
    [
        new_password,
        disable,
        lambda user: user.delete(),
        lambda user: user.assignments.filter(project="id-of-lab").delete(),
        lambda user: Project.objects.filter(id="id-of-lab").delete(),
    ],
)
def test_a_token_ends_with_what_it_rests_on(
    identity: Any, alice: User, end: Any
) -> None:
    token = identity.sign_in("alice", "lab")
    assert identity.images(token) == 200

    end(alice)

    assert identity.images(token) == 401


def test_a_lesser_role_counts_at_once(identity: Any, alice: User) -> None:
    token = identity.sign_in("alice", "lab")
    assignment = alice.assignments.get(project="id-of-lab")
    assignment.role = "reader"
    assignment.save(update_fields=["role"])

    made = identity.client.post(
        "/v2/images",
        {},
        content_type="application/json",
        headers={"X-Auth-Token": token},
    )

    assert made.status_code == 403


def test_what_another_process_changed_counts_within_a_second(
    identity: Any, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = identity.sign_in("alice", "lab")
    assert identity.images(token) == 200
    User.objects.update(is_active=False)  # no signal, as from another process
    later = time.monotonic() + tokens.FRESH_SECONDS
    monkeypatch.setattr(tokens.time, "monotonic", lambda: later)

    assert tokens.FRESH_SECONDS <= 1
    assert identity.images(token) == 401


def test_a_token_expires(
    identity: Any, alice: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.IMAGECATALOG_TOKEN_SECONDS = 600
    token = identity.sign_in("alice", "lab")
    assert identity.images(token) == 200
    now = time.time()

    monkeypatch.setattr(tokens.time, "time", lambda: now + 590)
    assert identity.images(token) == 200
    monkeypatch.setattr(tokens.time, "time", lambda: now + 601)
    assert identity.images(token) == 401


def test_revocations_are_forgotten_with_the_tokens(
    identity: Any, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        token = identity.sign_in("alice", "lab")
        identity.delete("auth/tokens", token, **{"X-Subject-Token": token})
        RevokedToken.objects.update(expires_at="2020-01-01T00:00:00Z")

    assert RevokedToken.objects.count() == 1


# A new secret key


def test_a_token_of_an_earlier_key_is_valid_while_that_key_is_a_fallback(
    identity: Any, alice: User, settings: Any
) -> None:
    token, earlier = identity.sign_in("alice", project="lab"), str(settings.SECRET_KEY)

    settings.SECRET_KEY = "x" * 50
    tokens.forget()
    assert identity.images(token) == 401
    settings.SECRET_KEY_FALLBACKS = [earlier]
    assert identity.images(token) == 200


def test_a_new_token_is_signed_with_the_new_key(
    identity: Any, alice: User, settings: Any
) -> None:
    earlier = str(settings.SECRET_KEY)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "x" * 50, [earlier]
    token = identity.sign_in("alice", project="lab")

    settings.SECRET_KEY_FALLBACKS = []
    tokens.forget()

    assert identity.images(token) == 200


# Forgery


def forged(**content: Any) -> str:
    return tokens.PREFIX + signing.Signer(
        key="another key", sep=".", salt=tokens.SALT
    ).sign_object(content)


def test_a_token_that_was_not_signed_here_is_401(identity: Any, alice: User) -> None:
    token = identity.sign_in("alice", "lab")
    payload, _, signature = token.rpartition(".")

    for other in (
        forged(u=alice.pk, p="id-of-lab", m=["password"], i=0, e=1 << 40, a=["x"]),
        f"{payload}.{signature[:-1]}",
        f"{payload}.",
        payload,
        tokens.PREFIX,
        f"{tokens.PREFIX}.",
        f"{payload}x.{signature}",
        "gAAAAABkeystone",
        "é",
    ):
        assert identity.images(other) == 401
        assert identity.get("auth/projects", other).status_code == 401


def test_what_was_signed_for_another_purpose_is_no_token(
    identity: Any, alice: User
) -> None:
    content = {"u": alice.pk, "p": None, "m": [], "i": 0, "e": 1 << 40, "a": ["x"]}
    other = signing.Signer(sep=".", salt="a session").sign_object(content)

    assert identity.images(tokens.PREFIX + other) == 401


# What it costs


def test_a_token_that_was_just_seen_asks_nothing(identity: Any, alice: User) -> None:
    token = identity.sign_in("alice", "lab")
    assert tokens.read(token)

    with CaptureQueriesContext(connection) as queries:
        assert tokens.read(token)

    assert len(queries) == 0


def test_a_token_that_was_not_asks_once(identity: Any, alice: User) -> None:
    token = identity.sign_in("alice", "lab")

    with CaptureQueriesContext(connection) as queries:
        assert tokens.read(token)

    assert len(queries) == 1


def test_what_is_remembered_has_an_end(
    identity: Any, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "REMEMBERED_AT_MOST", 2)
    for _ in range(5):
        assert identity.images(identity.sign_in("alice", "lab")) == 200

    assert len(tokens._valid) <= 2


# The record


def test_what_happened_is_on_record(identity: Any, alice: User) -> None:
    identity.try_password("alice", "wrong")
    identity.try_password("nobody", "wrong")
    token = identity.sign_in("alice", "lab")
    identity.delete("auth/tokens", token, **{"X-Subject-Token": token})

    events = SignInEvent.objects.order_by("id").values_list("verb", "user", "source")
    assert list(events) == [
        ("refused", "alice", "127.0.0.1"),
        ("token_issue", "alice", "127.0.0.1"),
        ("token_revoke", "alice", "127.0.0.1"),
    ]


def test_a_user_without_a_role_is_refused_with_any_password_alike(
    identity: Any, db: None
) -> None:
    user("carol")

    def asked(name: str, password: str) -> list[tuple[int, bytes]]:
        basic = b64encode(f"{name}:{password}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}"}
        answers = [
            identity.try_password(name, password),
            identity.try_password(name, password, "lab"),
            identity.client.get("/v2/images", headers=headers),
        ]
        return [(answer.status_code, answer.content) for answer in answers]

    right = asked("carol", PASSWORD)

    assert {code for code, _ in right} == {401}
    assert all(b"the user has no role in any project" in text for _, text in right)
    assert right == asked("carol", "a wrong one") == asked("nobody", PASSWORD)


def test_the_operator_reads_that_a_user_has_no_role(
    identity: Any, alice: User, caplog: pytest.LogCaptureFixture
) -> None:
    user("carol")

    for name in ("carol", "alice"):
        identity.try_password(name, "a wrong one")

    assert [event.detail for event in SignInEvent.objects.order_by("id")] == [
        {"method": "password", "reason": "no role in any project"},
        {"method": "password"},
    ]
    assert caplog.text.count("no role in any project") == 1


def test_no_secret_is_on_record(
    identity: Any, alice: User, caplog: pytest.LogCaptureFixture
) -> None:
    identity.try_password("alice", "a wrong password")
    token = identity.sign_in("alice", "lab")

    kept = f"{list(SignInEvent.objects.values())} {caplog.text}"
    assert "a wrong password" not in kept
    assert token not in kept


# Looking up others


@pytest.mark.parametrize("user_id", ["9" * 5000, "9" * 10, "999", "²", "-1", "x"])
def test_an_id_that_is_no_user_s_is_404(
    identity: Any, root: User, user_id: str
) -> None:
    answer = identity.get(f"users/{user_id}", identity.sign_in("root", "admin"))

    assert answer.status_code == 404


@pytest.mark.parametrize(
    "path", ["projects/%00", "users/%00", "users/{}/application_credentials/%00"]
)
def test_an_id_with_a_nul_is_nobody_s(identity: Any, root: User, path: str) -> None:
    token = identity.sign_in("root", "admin")

    answer = identity.get(path.format(root.pk), token)

    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == "There is nothing with this id."


# What is not here


@pytest.mark.parametrize(
    "path", ["domains", "auth/domains", "users", "services", "OS-FEDERATION/x", "x"]
)
def test_what_keystone_has_besides_is_404_in_its_shape(
    identity: Any, alice: User, path: str
) -> None:
    answer = identity.get(path, identity.sign_in("alice", "lab"))

    assert answer.status_code == 404
    assert answer.json()["error"]["title"] == "Not Found"


@pytest.mark.parametrize("method", ["put", "patch"])
def test_a_wrong_method_is_405(identity: Any, alice: User, method: str) -> None:
    send = getattr(identity.client, method)
    headers = {"X-Auth-Token": identity.sign_in("alice", "lab")}

    answer = send("/identity/v3/auth/tokens", headers=headers)

    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) >= {"GET", "POST", "DELETE"}


@pytest.mark.parametrize(
    ("path", "status"),
    [("", 300), ("/", 300), ("/v3", 200), ("/v3/", 200)],
)
def test_the_versions_need_no_token(identity: Any, path: str, status: int) -> None:
    answer = identity.client.get(f"/identity{path}")

    assert answer.status_code == status
    assert b"http://images.example.org/identity/v3/" in answer.content
