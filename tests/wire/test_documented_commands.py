"""The command lines of the documentation that a comment marks are run, page by page."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.generated import PAGES
from tests.servers import ROOT, Service
from tests.wire.api import Api

RUN = re.compile(r"^( *)<!-- run -->\n\1```console\n(.*?)^\1```$", re.M | re.S)
ADDRESS = "http://127.0.0.1:9292"

texts = [*PAGES, ROOT / "README.md"]
marked = [page for page in texts if RUN.search(page.read_text())]


def commands(text: str) -> list[str]:
    """The commands of the marked blocks, without what they print."""
    found: list[str] = []
    for _, block in RUN.findall(text):
        is_open = False
        for line in map(str.strip, block.splitlines()):
            if line.startswith("$ "):
                found.append(line[2:])
            elif is_open:
                found[-1] += f"\n{line}"
            else:
                continue
            is_open = goes_on(found[-1])
    return found


def goes_on(command: str) -> bool:
    """Whether a further line belongs to the command."""
    try:
        shlex.split(command)
    except ValueError:
        return True
    return command.endswith("\\")


def test_the_reader_tells_commands_from_what_they_print() -> None:
    text = """<!-- run -->
```console
$ one --with \\
    more    # a comment
printed
$ two '{"a":
  1}'
```
```console
$ three
```
"""

    assert commands(text) == ["one --with \\\nmore    # a comment", "two '{\"a\":\n1}'"]


@pytest.mark.parametrize("page", marked, ids=lambda page: page.stem)
def test_the_commands_of_a_page_succeed(
    any_catalogue: Service, page: Path, tmp_path: Path
) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "manage.py").symlink_to(ROOT / "manage.py")
    (tmp_path / ".curlrc").write_text("fail-with-body\n")
    user, password = any_catalogue.auth
    with Api(any_catalogue) as api:
        image_id = api.new(name="documented")
        assert api.upload(image_id, b"data").status_code == 204
    text = "\n".join(["set -euxo pipefail", *commands(page.read_text())])
    script = text.replace(ADDRESS, any_catalogue.url).replace("admin:…", '"$ADMIN"')
    signed_in = {
        "OS_AUTH_TYPE": "http_basic",
        "OS_USERNAME": user,
        "OS_PASSWORD": password,
        "ADMIN": f"{user}:{password}",
        "CURL_HOME": str(tmp_path),
        "OS_ENDPOINT": f"{any_catalogue.url}/v2",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }

    done = subprocess.run(
        ["bash", "-c", re.sub(r"\bID\b", image_id, script)],
        cwd=tmp_path,
        env=any_catalogue.env | signed_in,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
