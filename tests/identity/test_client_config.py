"""Names with special characters come out of each text as they are."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from imagecatalog.identity import client_config
from imagecatalog.identity.client_config import Login


def texts(user: str, project: str = "lab") -> dict[str, str]:
    return client_config.texts(Login("http://images.example.org", user, project))


@pytest.mark.parametrize(
    "name",
    [
        "plain",
        "Zoë",
        "\U0001d49c\U0001f600",
        "a\u2028b\x85c\x7fd\ufeff",
        'a"\\b',
        "${a}",
    ],
)
def test_yaml_gives_each_name_back(name: str) -> None:
    found = yaml.safe_load(texts(name, name)["clouds.yaml"])

    auth = found["clouds"]["imagecatalog"]["auth"]
    assert (auth["username"], auth["project_name"]) == (name, name)


@pytest.mark.parametrize(
    "name",
    [
        '${file("/etc/passwd")}',
        "%{ if true }",
        "$${a}",
        "$$${a}",
        "100%{",
        "$1 and 5%",
        "\U0001f600",
    ],
)
def test_terraform_takes_no_name_for_a_template(name: str) -> None:
    text = texts("alice", name)["Terraform"]

    line = next(it for it in text.splitlines() if "tenant_name" in it)
    quoted = line.partition(" = ")[2]
    assert not re.search(r"[$%]\{", quoted)
    # HCL has this escape besides those of JSON.
    assert json.loads(re.sub(r"\\U([0-9a-f]{8})", _as_json, quoted)) == name


def _as_json(found: Any) -> str:
    return json.dumps(chr(int(found[1], 16)))[1:-1]
