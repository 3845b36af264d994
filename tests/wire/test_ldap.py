"""Sign-in to the admin with the passwords of a real LDAP directory."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from playwright.sync_api import Browser, expect

from tests import certificates, environments, servers
from tests.servers import Missing, Service
from tests.wire import directory
from tests.wire.browser import SIGN_IN, Screen
from tests.wire.directory import BIND_DN, BIND_PASSWORD, PASSWORD, SUFFIX, Directory

PROGRAM = f"""
from imagecatalog.identity import ldap_directory
try:
    print(ldap_directory.authenticate(None, "dora", {PASSWORD!r}))
except ldap_directory.DirectoryFailed as error:
    print(repr(error))
"""

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ldap")]


@pytest.fixture(scope="module")
def ldap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Directory]:
    try:
        with directory.serving(tmp_path_factory.mktemp("ldap")) as running:
            yield running
    except Missing as missing:
        pytest.skip(str(missing))


@dataclass(frozen=True)
class Site:
    service: Service
    clients: Iterator[int]  # the limits for an address are tested by one test

    def sign_in(
        self, name: str, password: str = PASSWORD, address: str = ""
    ) -> tuple[requests.Session, requests.Response]:
        """Send the sign-in form; return the session and the response after the last redirect.

        ``address`` is the address of the client, by default another one for each sign-in.
        """
        session, url = requests.Session(), f"{self.service.url}{SIGN_IN}"
        address = address or f"192.0.2.{next(self.clients)}"
        session.headers["X-Forwarded-For"] = address
        session.get(url, timeout=60)
        form = {"username": name, "password": password, "next": "/admin/images/image/"}
        token = session.cookies["csrftoken"]
        form |= {"csrfmiddlewaretoken": token}
        return session, session.post(url, form, timeout=60)

    def gets_in(self, name: str, password: str = PASSWORD) -> bool:
        session, page = self.sign_in(name, password)
        return "sessionid" in session.cookies and page.status_code == 200


def settings(folder: Path, ldap: Directory) -> dict[str, str]:
    """Return the settings of a service that uses the LDAP directory ``ldap``."""
    secret = folder / "secret"
    secret.write_text(BIND_PASSWORD)
    return {
        "PYTHONPATH": str(environments.ldap_packages()),
        "IMAGECATALOG_LDAP_URL": ldap.plain,
        "IMAGECATALOG_LDAP_CA_FILE": str(ldap.ca_file),
        "IMAGECATALOG_LDAP_BIND_DN": BIND_DN,
        "IMAGECATALOG_LDAP_BIND_PASSWORD_FILE": str(secret),
        "IMAGECATALOG_LDAP_USERS": f"ou=people,{SUFFIX}",
        "IMAGECATALOG_LDAP_GROUP_BASE": f"ou=groups,{SUFFIX}",
        "IMAGECATALOG_LDAP_GROUPS": "ops:operator",
        "IMAGECATALOG_LDAP_ADMIN_GROUP": "admins",
        "IMAGECATALOG_TRUSTED_PROXIES": "127.0.0.1",
        "IMAGECATALOG_SECOND_FACTOR": "optional",
    }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, ldap: Directory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("with-ldap")
    try:
        env = settings(folder, ldap)
    except Missing as missing:
        pytest.skip(str(missing))
    with servers.catalogue(folder, env, workers=1) as service:
        yield Site(service, count(1))


def test_a_user_of_the_directory_has_the_roles_of_its_groups(site: Site) -> None:
    session, page = site.sign_in("dora")
    users = session.get(f"{site.service.url}/admin/auth/user/", timeout=60)

    assert page.url == f"{site.service.url}/admin/images/image/"
    assert "dora" in page.text
    assert users.status_code == 403


def test_a_member_of_the_admin_group_is_a_superuser(site: Site) -> None:
    session, _ = site.sign_in("emil")

    users = session.get(f"{site.service.url}/admin/auth/user/", timeout=60)

    assert users.status_code == 200


def test_a_name_makes_nobody_a_local_user(site: Site) -> None:
    session, page = site.sign_in("admin")

    assert "admin-2" in page.text
    assert session.get(f"{site.service.url}/admin/auth/user/").status_code == 403


def test_local_users_sign_in_as_before(site: Site) -> None:
    assert site.gets_in(site.service.username, site.service.password)


@pytest.mark.parametrize(
    ("name", "password"),
    [("dora", "wrong"), ("dora", ""), ("d*", PASSWORD), ("nobody", PASSWORD)],
)
def test_what_the_directory_refuses_is_refused(
    name: str, password: str, site: Site
) -> None:
    assert not site.gets_in(name, password)


def test_a_right_password_without_a_group_is_told_so(site: Site) -> None:
    session, page = site.sign_in("fred")

    assert page.status_code == 403
    assert "fred is in no group that has access" in page.text
    assert "sessionid" not in session.cookies


def test_guesses_are_limited(site: Site) -> None:
    answers = [
        site.sign_in("guessed", f"guess {number}", "198.51.100.7")[1]
        for number in range(6)
    ]

    assert answers[-1].status_code == 429


@pytest.mark.parametrize(
    "wrong", ["authority", pytest.param("name", marks=pytest.mark.long)]
)
def test_no_password_is_sent_without_verified_tls(
    wrong: str, site: Site, ldap: Directory, tmp_path: Path
) -> None:
    other = certificates.make(tmp_path, x509.DNSName("localhost")).certificate
    changed = (
        {"IMAGECATALOG_LDAP_CA_FILE": str(other)}
        if wrong == "authority"
        else {"IMAGECATALOG_LDAP_URL": ldap.tls.replace("127.0.0.1", "localhost")}
    )
    service = replace(site.service, env=site.service.env | changed)

    assert "DirectoryFailed" in service.manage("shell", "-c", PROGRAM)
    assert "dora" in site.service.manage("shell", "-c", PROGRAM)


def test_an_app_is_set_up_and_asked_for_in_a_browser(
    site: Site, browser: Browser
) -> None:
    screen = Screen(browser, site.service)
    page = screen.page
    screen.sign_in("gina", PASSWORD)
    page.locator("details.account summary").click()
    page.get_by_role("link", name="Second factor").click()
    screen.shoot("second-factor-setup")
    secret = page.locator("code").inner_text().replace(" ", "")
    app = TOTP(base64.b32decode(secret), 6, SHA1(), 30)

    page.get_by_label("Code").fill(app.generate(int(time.time()) - 30).decode())
    page.get_by_role("button", name="Set up").click()
    expect(page.locator("#recovery-codes")).to_contain_text("-")
    screen.shoot("second-factor-recovery-codes")
    page.get_by_role("link", name="Continue").click()
    page.locator("details.account summary").click()
    page.get_by_role("button", name="Log out").click()
    screen.sign_in("gina", PASSWORD)
    screen.shoot("second-factor-code")
    page.get_by_label("Code").fill(app.generate(int(time.time())).decode())
    page.get_by_role("button", name="Log in").click()

    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.goto("/admin/auth/user/credentials/")
    screen.shoot("own-credentials-without-project")
    assert screen.complaints == []
    screen.context.close()
