from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from imagecatalog.identity import credentials, verification
from imagecatalog.identity.models import Project, RoleAssignment
from images.models import Image

PASSWORD = "correct horse: battery"


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "_verified", {})


@pytest.fixture
def alice(db: None) -> User:
    """A member of project-a."""
    user = User.objects.create_user("alice", password=PASSWORD)
    project = Project.objects.create(id="project-a", name="a")
    RoleAssignment.objects.create(user=user, project=project, role="member")
    return user


def basic(user: str = "alice", password: str = PASSWORD) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def code(client: Client, authorization: str) -> int:
    headers = {"Authorization": authorization}
    return client.get("/v2/images", headers=headers).status_code


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that were compared with a hash, which takes its time."""
    compared: list[str] = []
    check = verification.check_password

    def counted(password: str, encoded: str) -> bool:
        compared.append(password)
        return check(password, encoded)

    monkeypatch.setattr(verification, "check_password", counted)
    return compared


# With a password


def test_a_password_signs_in(client: Client, alice: User) -> None:
    made = client.post(
        "/v2/images",
        {},
        content_type="application/json",
        headers={"Authorization": basic()},
    )

    assert (made.status_code, made.json()["owner"]) == (201, "project-a")


@pytest.mark.parametrize("scheme", ["basic", "BASIC"])
def test_the_scheme_has_no_case(scheme: str, client: Client, alice: User) -> None:
    assert code(client, basic().replace("Basic", scheme)) == 200


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("alice", "wrong"),
        ("alice", ""),
        ("Alice", PASSWORD),
        ("bob", PASSWORD),
        ("", ""),
        ("al\0ice", PASSWORD),
        ("alice", f"{PASSWORD}\0"),
        ("alice:", PASSWORD),
        ("é", "日本"),
    ],
)
def test_a_wrong_user_or_password_is_401(
    user: str, password: str, client: Client, alice: User
) -> None:
    response = client.get(
        "/v2/images", headers={"Authorization": basic(user, password)}
    )

    assert response.status_code == 401
    assert (
        b"The user name, password or key is wrong, or the user has no role"
        in response.content
    )


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic",
        "Basic !!!",
        "Basic é",
        "Basic " + b64encode(b"no colon").decode(),
        "Basic " + b64encode(b"\xff:\xff").decode(),
        "Bearer",
        "Digest x",
        "é",
    ],
)
def test_a_malformed_credential_is_401(
    authorization: str, client: Client, alice: User
) -> None:
    assert code(client, authorization) == 401


def test_a_user_without_a_role_is_401(client: Client, db: None) -> None:
    User.objects.create_user("nobody", password=PASSWORD)

    assert code(client, basic("nobody")) == 401


def test_a_user_without_a_usable_password_is_401(client: Client, alice: User) -> None:
    alice.set_unusable_password()
    alice.save()

    assert code(client, basic(password="")) == 401
    assert code(client, basic(password=alice.password)) == 401


# A credential that was right is remembered


def test_a_password_is_hashed_once(
    client: Client, alice: User, hashed: list[str]
) -> None:
    codes = [code(client, basic()) for _ in range(3)]

    assert (codes, hashed) == ([200] * 3, [PASSWORD])


def test_a_wrong_password_is_not_remembered(
    client: Client, alice: User, hashed: list[str]
) -> None:
    codes = [code(client, basic(password="wrong")) for _ in range(2)]

    assert (codes, hashed) == ([401] * 2, ["wrong"] * 2)


def test_nor_is_the_right_one_taken_for_it(client: Client, alice: User) -> None:
    assert code(client, basic()) == 200
    assert code(client, basic(password="wrong")) == 401


def test_what_another_process_changed_counts_within_a_second(
    client: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert code(client, basic()) == 200
    User.objects.update(password="unusable")  # no signal, as from another process
    later = credentials.time.monotonic() + verification.FRESH_SECONDS
    monkeypatch.setattr(credentials.time, "monotonic", lambda: later)

    assert verification.FRESH_SECONDS <= 1
    assert code(client, basic()) == 401


def test_a_changed_password_counts_at_once(client: Client, alice: User) -> None:
    assert code(client, basic()) == 200
    alice.set_password("another")
    alice.save()

    assert code(client, basic()) == 401
    assert code(client, basic(password="another")) == 200


def disable(user: User) -> None:
    user.is_active = False
    user.save(update_fields=["is_active"])


@pytest.mark.parametrize(
    "end",
    [
        disable,
        lambda user: user.assignments.all().delete(),
        lambda user: user.delete(),
    ],
)
def test_who_is_disabled_or_has_no_role_any_more_is_out_at_once(
    end: Callable[[User], Any], client: Client, alice: User
) -> None:
    assert code(client, basic()) == 200
    end(alice)

    assert code(client, basic()) == 401


def test_a_role_that_is_taken_counts_at_once(client: Client, alice: User) -> None:
    assert code(client, basic()) == 200
    assignment = alice.assignments.get()
    assignment.role = "reader"
    assignment.save(update_fields=["role"])

    response = client.post(
        "/v2/images",
        {},
        content_type="application/json",
        headers={"Authorization": basic()},
    )

    assert response.status_code == 403


def test_what_is_remembered_is_forgotten_in_time(
    client: Client, alice: User, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code(client, basic())
    later = credentials.time.monotonic() + verification.REMEMBERED_SECONDS
    monkeypatch.setattr(credentials.time, "monotonic", lambda: later)
    code(client, basic())

    assert len(hashed) == 2


def test_what_is_remembered_has_an_end(
    client: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "REMEMBERED_AT_MOST", 2)
    for number in range(5):
        name = f"user-{number}"
        user = User.objects.create_user(name, password=PASSWORD)
        alice.assignments.get().project.assignments.create(user=user, role="reader")
        assert code(client, basic(name)) == 200

    assert len(verification._verified) <= 2


def test_no_password_is_kept_in_memory(client: Client, alice: User) -> None:
    code(client, basic())

    assert PASSWORD not in repr(verification._verified)
    assert PASSWORD.encode() not in b"".join(verification._verified)


def test_names_and_passwords_do_not_run_together() -> None:
    assert verification._digest("a", "b:c") != verification._digest("a:b", "c")


def test_a_user_that_does_not_exist_takes_as_long_as_one_that_does(
    client: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    monkeypatch.setattr(verification, "make_password", made.append)

    code(client, basic("nobody"))

    assert made == [PASSWORD]


# With a password that a browser remembers


def create(client: Client, **headers: str) -> int:
    return client.post(
        "/v2/images",
        {},
        content_type="text/plain",  # what a form of another site can send
        headers={"Host": "images.example", "Authorization": basic(), **headers},
    ).status_code


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://images.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "https://images.example"},
        {"Origin": "http://images.example:81"},
        {"Origin": "http://images.example.evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_page_of_another_site_changes_nothing_with_it(
    headers: dict[str, str], client: Client, alice: User
) -> None:
    assert create(client, **headers) == 403
    assert not Image.objects.exists()


@pytest.mark.parametrize(
    "headers",
    [
        {},  # no browser
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://images.example"},
        {
            "Sec-Fetch-Site": "same-origin",
            "Origin": "https://images.example",
        },  # a proxy
        {"Origin": "http://images.example"},
        {"Origin": "https://public.example"},
    ],
)
def test_everybody_else_does(
    headers: dict[str, str], client: Client, alice: User, settings: Any
) -> None:
    settings.IMAGECATALOG_PUBLIC_URL = "https://public.example/catalogue"

    assert create(client, **headers) == 201


def test_a_page_of_another_site_may_link_to_an_image(
    client: Client, alice: User
) -> None:
    headers = {"Authorization": basic(), "Sec-Fetch-Site": "cross-site"}

    assert client.get("/v2/images", headers=headers).status_code == 200


def test_a_token_is_sent_by_no_browser_by_itself(
    client: Client, alice: User, settings: Any
) -> None:
    settings.IMAGECATALOG_STATIC_KEYS = ("alice:se:cret",)
    headers = {"X-Auth-Token": "se:cret", "Authorization": ""}

    assert create(client, Origin="http://other.example", **headers) == 201


# With a static key


@pytest.fixture
def _keys(settings: Any, alice: User) -> None:
    settings.IMAGECATALOG_STATIC_KEYS = ("ghost:boo", "alice:se:cret", "alice:")


@pytest.mark.usefixtures("_keys")
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-Auth-Token": "se:cret"}, 200),
        ({"Authorization": "Bearer se:cret"}, 200),
        ({"Authorization": "bearer se:cret"}, 200),
        ({"X-Auth-Token": "se"}, 401),
        ({"X-Auth-Token": "SE:CRET"}, 401),
        ({"X-Auth-Token": ""}, 401),
        ({"X-Auth-Token": "é"}, 401),
        ({"X-Auth-Token": "boo"}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": "Bearer wrong", "X-Auth-Token": "se:cret"}, 401),
    ],
)
def test_a_key_signs_in_whom_it_belongs_to(
    headers: dict[str, str], expected: int, client: Client
) -> None:
    assert client.get("/v2/images", headers=headers).status_code == expected


@pytest.mark.usefixtures("_keys")
def test_a_disabled_user_s_key_is_401(client: Client, alice: User) -> None:
    User.objects.update(is_active=False)

    response = client.get("/v2/images", headers={"X-Auth-Token": "se:cret"})

    assert response.status_code == 401


def test_without_keys_none_is_right(client: Client, alice: User) -> None:
    response = client.get("/v2/images", headers={"X-Auth-Token": "alice"})

    assert response.status_code == 401


# Nobody is asked


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1"])
def test_in_a_laboratory_this_machine_needs_no_credential(
    address: str, client: Client, settings: Any
) -> None:
    settings.IMAGECATALOG_AUTH = "none"

    made = client.post(
        "/v2/images",
        {"visibility": "public"},
        content_type="application/json",
        headers={"X-Auth-Token": "notused"},
        REMOTE_ADDR=address,
    )

    assert (made.status_code, made.json()["owner"]) == (201, "admin")


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["10.0.0.1", "192.0.2.7", "2001:db8::1", "", "x"])
def test_in_a_laboratory_other_machines_are_401_unless_the_operator_says_so(
    address: str, client: Client, settings: Any
) -> None:
    settings.IMAGECATALOG_AUTH = "none"
    refused = client.get("/v2/images", REMOTE_ADDR=address)
    settings.IMAGECATALOG_AUTH_NONE_REMOTE = True

    assert refused.status_code == 401
    assert client.get("/v2/images", REMOTE_ADDR=address).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "192.0.2.1"},  # a proxy on this machine
        {"Forwarded": "for=192.0.2.1"},
        {"Origin": "https://evil.example"},  # a page in this machine's browser
        {"Host": "evil.example"},  # a name that was bent to this machine
    ],
)
def test_in_a_laboratory_others_do_not_come_in_through_this_machine(
    headers: dict[str, str], client: Client, settings: Any, db: None
) -> None:
    settings.IMAGECATALOG_AUTH = "none"

    response = client.get("/v2/images", headers={"Host": "localhost", **headers})

    assert response.status_code == 401


def test_a_header_does_not_make_a_machine_local(client: Client, settings: Any) -> None:
    settings.IMAGECATALOG_AUTH = "none"
    headers = {"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1"}

    response = client.get("/v2/images", headers=headers, REMOTE_ADDR="10.0.0.1")

    assert response.status_code == 401
