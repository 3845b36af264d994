"""Sign-in to the admin at a real OpenID Connect provider."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests
from playwright.sync_api import Browser, expect

from tests import servers
from tests.servers import Missing, Service
from tests.wire import identity_provider
from tests.wire.browser import SIGN_IN, Screen
from tests.wire.identity_provider import CALLBACK, CLIENT_ID, SECRET, Provider

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("single-sign-on")]
expect.set_options(timeout=20_000)
START = "/admin/sso/"


@dataclass(frozen=True)
class Sites:
    service: Service
    provider: Provider
    before: requests.Response  # to a sign-in while the provider did not run

    def sign_in(self, subject: str) -> tuple[requests.Session, requests.Response]:
        session = requests.Session()
        start = f"{self.service.url}{START}"
        return session, identity_provider.sign_in(session, start, subject)


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """A service, and the identity provider at which its users sign in."""
    folder = tmp_path_factory.mktemp("sso")
    ports = servers.free_port(), servers.free_port()
    secret = folder / "secret"
    secret.write_text(f"{SECRET}\n")
    secret.chmod(0o600)
    env = {
        "IMAGECATALOG_OIDC_ISSUER": f"http://127.0.0.1:{ports[1]}",
        "IMAGECATALOG_OIDC_CLIENT_ID": CLIENT_ID,
        "IMAGECATALOG_OIDC_CLIENT_SECRET_FILE": str(secret),
        "IMAGECATALOG_OIDC_NAME": "Example Login",
        "IMAGECATALOG_OIDC_SCOPES": "openid,profile,groups",
        "IMAGECATALOG_OIDC_GROUPS": "ops:operator,cloud:catalogue manager",
        "IMAGECATALOG_OIDC_ADMIN_GROUP": "admins",
        "IMAGECATALOG_PASSWORD_SIGN_IN": "off",
        "IMAGECATALOG_TRUSTED_PROXIES": "127.0.0.1",
    }
    with servers.catalogue(folder, env, workers=1, port=ports[0]) as service:
        before = requests.get(f"{service.url}{START}", timeout=60)
        try:
            with identity_provider.serving(folder, ports[1], service.url) as provider:
                yield Sites(service, provider, before)
        except Missing as missing:
            pytest.skip(str(missing))


def test_a_user_of_the_provider_signs_in_with_the_roles_of_its_groups(
    sites: Sites, browser: Browser
) -> None:
    sites.provider.set_users(s1=("alice", ["ops", "strangers"]))
    screen = Screen(browser, sites.service)
    page = screen.page
    page.goto(f"{SIGN_IN}?next=/admin/images/image/")
    expect(page.get_by_label("Password")).to_have_count(0)
    screen.shoot("sign-in-elsewhere")

    page.get_by_role("link", name="Sign in with Example Login").click()
    page.get_by_placeholder("login").fill("s1")
    page.get_by_placeholder("password").fill("whatever")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()

    expect(page).to_have_url(f"{sites.service.url}/admin/images/image/")
    expect(page.locator("#user-tools")).to_contain_text("alice")
    screen.shoot("signed-in-elsewhere")
    page.goto("/admin/auth/user/")
    expect(page.get_by_role("heading", name="Not allowed")).to_be_visible()
    screen.context.close()


def test_a_superuser_of_the_provider_sees_who_has_signed_in(sites: Sites) -> None:
    sites.provider.set_users(s2=("bob", ["admins"]))

    session, page = sites.sign_in("s2")
    log = session.get(f"{sites.service.url}/admin/identity/signinevent/", timeout=60)

    assert (page.status_code, page.url) == (200, f"{sites.service.url}/admin/")
    assert "bob" in log.text


def test_who_is_in_no_group_with_access_reads_why(sites: Sites) -> None:
    sites.provider.set_users(s3=("carol", ["strangers"]))

    session, page = sites.sign_in("s3")
    front = session.get(f"{sites.service.url}/admin/", timeout=60)

    assert page.status_code == 403
    assert "The account carol is in no group that has access" in page.text
    assert front.url.startswith(f"{sites.service.url}{SIGN_IN}")


def test_a_local_password_is_no_way_in(sites: Sites) -> None:
    session, url = requests.Session(), f"{sites.service.url}{SIGN_IN}"
    session.cookies.set("csrftoken", "c" * 32)  # the page has no form that would set it
    form = {
        "username": sites.service.username,
        "password": sites.service.password,
        "csrfmiddlewaretoken": "c" * 32,
    }

    answer = session.post(url, form, timeout=60)

    assert (answer.status_code, answer.url) == (200, url)
    assert "sessionid" not in session.cookies


def test_a_code_that_nobody_asked_for_signs_nobody_in(sites: Sites) -> None:
    parameters = {"code": "guessed", "state": "guessed"}

    answer = requests.get(f"{sites.service.url}{CALLBACK}", parameters, timeout=60)

    assert answer.status_code == 403
    assert "The identity provider did not sign you in" in answer.text


def test_only_so_many_sign_ins_are_begun_from_one_address(sites: Sites) -> None:
    elsewhere = {"X-Forwarded-For": "198.51.100.7"}

    statuses = [
        requests.get(
            f"{sites.service.url}{START}",
            headers=elsewhere,
            allow_redirects=False,
            timeout=60,
        ).status_code
        for _ in range(11)
    ]

    assert statuses == [302] * 10 + [429]


def test_a_provider_that_does_not_answer_is_no_error_of_the_service(
    sites: Sites,
) -> None:
    assert sites.before.status_code == 403
    assert "does not answer. Try again" in sites.before.text
    assert "Traceback" not in sites.service.log.read_text()
