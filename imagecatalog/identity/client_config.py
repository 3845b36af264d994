"""Client configurations for a user as text: clouds.yaml, openrc, Terraform and curl."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.conf import settings

Values = Mapping[str, str]
DOMAIN = "Default"


@dataclass(frozen=True)
class Login:
    """The values with which a client signs in: service URL, user, project, optional credential."""

    url: str  # without a slash at its end
    user: str
    project: str
    credential: tuple[str, str] | None = None  # id and secret, instead of a password


def texts(login: Login) -> dict[str, str]:
    """Return the client configurations for a sign-in: title -> text.

    Which clients are included depends on IMAGECATALOG_AUTH.
    """
    auth_type, auth = _auth(login)
    result = {
        "clouds.yaml": clouds_yaml(login, auth_type, auth),
        "openrc": openrc(login, auth_type, auth),
    }
    if "auth_url" in auth:
        result["Terraform"] = terraform(auth)
    return result | {"curl": curl(login)}


def clouds_yaml(login: Login, auth_type: str, auth: Values) -> str:
    """Return the text of ``~/.config/openstack/clouds.yaml`` for a sign-in.

    ``auth_type`` is the name of keystoneauth's plugin, ``auth`` has the plugin's options.
    """
    lines = ["clouds:", "  imagecatalog:", f"    auth_type: {auth_type}", "    auth:"]
    lines += [f"      {name}: {_quoted(value)}" for name, value in auth.items()]
    if "auth_url" in auth:
        region = _quoted(settings.IMAGECATALOG_REGION)
        lines += ["    identity_api_version: 3", f"    region_name: {region}"]
    else:
        lines += [f"    image_endpoint_override: {_quoted(login.url)}"]
    return "\n".join(lines)


def openrc(login: Login, auth_type: str, auth: Values) -> str:
    """Return the text of a file ``openrc``: shell commands that set a client's variables.

    ``auth_type`` is the name of keystoneauth's plugin, ``auth`` has the plugin's options.
    """
    values = {"auth_type": auth_type, **auth}
    if "auth_url" in auth:
        values |= {
            "identity_api_version": "3",
            "region_name": settings.IMAGECATALOG_REGION,
        }
    return "\n".join(
        f"export OS_{name.upper()}={shlex.quote(value)}"
        for name, value in values.items()
    )


def terraform(auth: Values) -> str:
    """Return the provider block of terraform-provider-openstack for a sign-in.

    ``auth`` has the options of keystoneauth's plugin.
    """
    names = {
        "username": "user_name",
        "project_name": "tenant_name",
        "user_domain_name": "user_domain_name",
        "project_domain_name": "project_domain_name",
    }
    values = {names.get(name, name): value for name, value in auth.items()}
    values["region"] = settings.IMAGECATALOG_REGION
    width = max(map(len, values))
    lines = [
        f"  {name:<{width}} = {_no_template(value)}" for name, value in values.items()
    ]
    return "\n".join(['provider "openstack" {', *lines, "}"])


def curl(login: Login) -> str:
    """Return a curl command line that lists the images, with the options for a sign-in."""
    images = shlex.quote(f"{login.url}/v2/images")
    return f"{signed_in_curl(*(login.credential or (login.user, '')))} {images}"


def signed_in_curl(user: str, secret: str = "") -> str:
    """Return the beginning of a curl command line: ``curl`` and the options for a sign-in.

    Without ``secret`` curl asks the user for it.
    """
    if settings.IMAGECATALOG_AUTH == "none":
        return "curl"
    if settings.IMAGECATALOG_AUTH == "keystone":
        return 'curl -H "X-Auth-Token: $(openstack token issue -f value -c id)"'
    shown = f"{user}:{secret}" if secret else user
    return f"curl -u {shlex.quote(shown)}"


def _quoted(text: str) -> str:
    """Return a text as a quoted string literal that is valid both in YAML and in HCL (Terraform).

    Unlike JSON, the literal has no surrogate pairs.
    """
    return "".join(
        char if char.isprintable() else f"\\U{ord(char):08x}"
        for char in json.dumps(text, ensure_ascii=False)
    )


def _no_template(text: str) -> str:
    """Return a text as a string literal of HCL (Terraform) in which ``${`` and ``%{`` are escaped.

    HCL would otherwise replace them as templates. HCL's own escape, which doubles the first
    character, is ambiguous after another ``$`` or ``%``.
    """
    marks = re.compile(r"[$%](?=[$%]*\{)")
    return marks.sub(lambda match: f"\\u{ord(match[0]):04x}", _quoted(text))


def _auth(login: Login) -> tuple[str, dict[str, str]]:
    return MODES[settings.IMAGECATALOG_AUTH](login)


def _embedded(login: Login) -> tuple[str, dict[str, str]]:
    return _keystone_like(login, f"{login.url}/identity/v3")


def _keystone(login: Login) -> tuple[str, dict[str, str]]:
    return _keystone_like(login, settings.IMAGECATALOG_KEYSTONE_URL)


def _none(login: Login) -> tuple[str, dict[str, str]]:
    return "none", {"endpoint": login.url}


def _keystone_like(login: Login, auth_url: str) -> tuple[str, dict[str, str]]:
    if login.credential:
        credential_id, secret = login.credential
        return "v3applicationcredential", {
            "auth_url": auth_url,
            "application_credential_id": credential_id,
            "application_credential_secret": secret,
        }
    return "v3password", {
        "auth_url": auth_url,
        "username": login.user,
        "password": "PASSWORD",
        "project_name": login.project,
        "user_domain_name": DOMAIN,
        "project_domain_name": DOMAIN,
    }


MODES: dict[str, Callable[[Login], tuple[str, dict[str, str]]]] = {
    "embedded": _embedded,
    "keystone": _keystone,
    "none": _none,
}
