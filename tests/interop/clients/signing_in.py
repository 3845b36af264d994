"""What the scripts of this folder share; it runs in the environments of other projects."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

DISK = Path(os.environ["INTEROP_DISK"])  # raw
WEB = os.environ["INTEROP_WEB"]  # the URL of a qcow2
FOLDER = Path(os.environ["INTEROP_FOLDER"])  # for the files of this client
REGION = os.environ["OS_REGION_NAME"]
CREDENTIALS = {
    "auth_url": os.environ["OS_AUTH_URL"],
    "username": os.environ["OS_USERNAME"],
    "password": os.environ["OS_PASSWORD"],
    "project_name": os.environ["OS_PROJECT_NAME"],
    "user_domain_name": "Default",
    "project_domain_name": "Default",
}


def session() -> Any:
    """A session of the user in the usual variables, who is an administrator."""
    from keystoneauth1.identity.v3 import Password
    from keystoneauth1.session import Session

    return Session(auth=Password(**CREDENTIALS))


def context(kind: Callable[..., Any]) -> Any:
    """A request context of Nova or Cinder, as their middleware makes it from a token."""
    signed_in = session()
    access = signed_in.auth.get_access(signed_in)
    return kind(
        user_id=access.user_id,
        project_id=access.project_id,
        auth_token=access.auth_token,
        is_admin=True,
        service_catalog=access.service_catalog.catalog,
        roles=access.role_names,
    )


def catalogue(method: str, path: str, body: object = None) -> Any:
    """The answer of the catalogue's own API: the JSON object of a request below ``/catalog/v1``."""
    service = {"service_type": "image"}
    path = f"/catalog/v1/{path}"
    answer = session().request(path, method, endpoint_filter=service, json=body)
    return answer.json()


def preview(policy: str) -> dict[str, Any]:
    """The preview of a retention policy."""
    found: dict[str, Any] = catalogue("POST", f"retention/{policy}/preview")
    return found


def carried_out(job: dict[str, Any]) -> bool:
    """Whether a job has succeeded."""
    return bool(catalogue("GET", f"jobs/{job['id']}")["status"] == "succeeded")


def endpoint() -> str:
    """The image endpoint in the service catalogue."""
    found: str = session().get_endpoint(service_type="image", region_name=REGION)
    return found


def run(program: str, *words: str | Path) -> str:
    """Run a program of this environment in a terminal to its end; what it printed."""
    command = [Path(sys.prefix, "bin", program), *words]
    terminal, stdin = os.openpty()  # what is no terminal is taken for an image's data
    done = subprocess.run(
        command, cwd=FOLDER, stdin=stdin, stdout=subprocess.PIPE, text=True
    )
    os.close(stdin)
    os.close(terminal)
    assert done.returncode == 0, f"{program} {words}: {done.stdout}"
    return done.stdout


def wait(condition: Callable[[], object]) -> None:
    """Wait until the condition holds."""
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "waited for two minutes in vain"
        time.sleep(0.2)


def done(step: str) -> None:
    """Report a step that has succeeded."""
    print(f"done: {step}", flush=True)
