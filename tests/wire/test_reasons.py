"""The reason of a refusal, as the users of ``openstack`` and ``glance`` read it."""

from __future__ import annotations

import os

import pytest

from tests.servers import Service
from tests.wire.api import Api, sign_in
from tests.wire.clients import Clients

Env = dict[str, str]

RAW = ("--disk-format", "raw", "--container-format", "bare")
QCOW2 = ("--disk-format", "qcow2", "--container-format", "bare")
LONG = "x" * 300
EMOJI = "\N{GRINNING FACE}"
# Words of a command, in which {image}, {public} and {file} stand for what the fixtures give.
REFUSED = {
    # openstacksdk sends uploads and patches with an empty Accept, …
    ("openstack", "image create --file {file} x", *QCOW2): (
        "does not match stream data raw. Set disk_format to what the data is"
    ),
    ("openstack", "image set --property os_glance_x=1 {image}"): (
        "Attribute 'os_glance_x' is reserved."
    ),
    ("openstack", "image set --property size=1 {image}"): (
        "Attribute 'size' is read-only."
    ),
    ("openstack", f"image set --name {LONG} {{image}}"): (
        "Invalid name: it is longer than 255 characters."
    ),
    ("openstack", f"image set --tag {LONG} {{image}}"): (
        "Invalid tag: it is longer than 255 characters."
    ),
    ("openstack", f"image set --property a={EMOJI} {{image}}"): (
        "characters beyond the Basic Multilingual Plane (such as emoji) are not allowed"
    ),
    ("openstack", "image set --min-disk 99999999999 {image}"): (
        "Invalid value '99999999999' for parameter 'min_disk': "
        "Cannot be greater than 2147483647"
    ),
    # … lists with application/json, and all else with */*.
    ("openstack", "image member list {public}"): "Only shared images have members.",
    ("openstack", "image create --id 7 x", *RAW): "Invalid id: it must be a UUID",
    ("openstack", "image create --id {image} x", *RAW): "already exists!",
    ("openstack", "image create --property status=a x", *RAW): (
        "Attribute 'status' is read-only."
    ),
    ("openstack", "image delete {public}"): (
        "is protected and cannot be deleted. Set its 'protected' to false first."
    ),
    ("glance", f"image-update {{image}} --property {LONG}=1"): (
        "Invalid property name: it is longer than 255 characters."
    ),
    ("glance", "image-update {image} --property os_glance_x=1"): (
        "Attribute 'os_glance_x' is reserved."
    ),
    ("glance", f"image-tag-update {{image}} {LONG}"): (
        "Invalid tag: it is longer than 255 characters."
    ),
    ("glance", "image-tag-delete {image} a"): "The image does not have this tag.",
    ("glance", f"member-create {{image}} {LONG}"): (
        "Invalid member: it is longer than 255 characters."
    ),
    ("glance", "member-create {public} a"): "Only shared images have members.",
    ("glance", "image-upload --file {file} {qcow2}"): (
        "does not match stream data raw. Set disk_format to what the data is"
    ),
    ("glance", "location-add {image} --url file:///etc/passwd"): (
        "This is not a usable URL. It must be like https://host/path"
    ),
}


@pytest.fixture(scope="module")
def env(any_catalogue: Service) -> dict[str, Env]:
    """The environment of each program: a password for the one, a token for the other."""
    user, password = any_catalogue.auth
    env = {name: value for name, value in os.environ.items() if name[:3] != "OS_"}
    basic = {"OS_AUTH_TYPE": "http_basic", "OS_ENDPOINT": f"{any_catalogue.url}/v2"}
    basic |= {"OS_USERNAME": user, "OS_PASSWORD": password}
    token = {"OS_IMAGE_URL": any_catalogue.url, "OS_AUTH_TOKEN": sign_in(any_catalogue)}
    return {"openstack": env | basic, "glance": env | token}


@pytest.fixture(scope="module")
def names(
    any_catalogue: Service, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The values of the placeholders in the commands."""
    file = tmp_path_factory.mktemp("reasons") / "data"
    file.write_bytes(b"x" * 1000)
    with Api(any_catalogue) as api:
        return {
            "image": api.new(),
            "public": api.new(visibility="public", protected=True),
            "qcow2": api.new(disk_format="qcow2"),
            "file": str(file),
        }


@pytest.mark.parametrize(
    ("command", "sentence"),
    REFUSED.items(),
    ids=[f"{program} {words[:40]}" for program, words, *_ in REFUSED],
)
def test_the_user_reads_why_a_command_was_refused(
    command: tuple[str, ...],
    sentence: str,
    clients: Clients,
    env: dict[str, Env],
    names: dict[str, str],
) -> None:
    program, words, *more = command

    done = clients.run(program, *words.format(**names).split(), *more, env=env[program])

    assert done.returncode == 1
    assert sentence in done.stdout + done.stderr
