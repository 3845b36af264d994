"""``python -m tests.container``: build the image of deploy/container, and run it.

`make dist` must have made the package. The base is made of Debian's packages by debootstrap, unless
--base names an image. It needs root, Podman and runc; what it makes is below var/container.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from tests import servers
from tests.servers import ROOT

FOLDER = ROOT / "var" / "container"
BASE = "localhost/imagecatalog-base"
IMAGE = "localhost/imagecatalog"
NAME = "imagecatalog-test"
PACKAGES = "python3,python3-venv,ca-certificates"
CERTIFICATES = "/etc/ssl/certs"  # the registry may have one of this machine's own
# runc, as crun refuses to run where versions 1 and 2 of control groups are mixed.
PODMAN = [
    "podman",
    "--runtime=runc",
    f"--root={FOLDER}/storage",
    f"--runroot={FOLDER}/run",
]

# Podman's own limits can be above those that this machine lets root set.
LIMITS = ["--ulimit=nofile=16640:16640", "--ulimit=nproc=4096:4096"]

# In the container: its network is none but loopback. The arguments are the password, and the id
# of an image that must be there.
CLIENT = """
import base64, json, sys, urllib.request
password, image_id = sys.argv[1:]
basic = "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()
def call(method, path, body=None, kind="application/json"):
    headers = {"Authorization": basic, "Content-Type": kind}
    url = f"http://127.0.0.1:9292/v2/images{path}"
    request = urllib.request.Request(url, body, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()
if not image_id:
    image = {"name": "one", "disk_format": "raw", "container_format": "bare"}
    image_id = json.loads(call("POST", "", json.dumps(image).encode()))["id"]
    call("PUT", f"/{image_id}/file", b"bytes", "application/octet-stream")
assert call("GET", f"/{image_id}/file") == b"bytes"
print(image_id)
"""


def podman(
    *command: str | Path, check: bool = True
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PODMAN, *command],
        check=check,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def make_base() -> None:
    """Make the base image, unless it was made before."""
    if podman("image", "exists", BASE, check=False).returncode == 0:
        return
    tree = FOLDER / "debian"
    if not (tree / "usr" / "bin" / "python3").exists():
        make = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}"]
        subprocess.run([*make, "bookworm", tree], check=True)
    packed = FOLDER / "debian.tar"
    subprocess.run(["tar", "-C", tree, "-cf", packed, "."], check=True)
    podman("import", packed, BASE)
    packed.unlink()


def build(base: str) -> None:
    """Follow the steps of the Containerfile."""
    command = ["build", "--isolation", "chroot", "--format", "docker", "--pull=never"]
    command += ["--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro", "--no-cache"]
    command += ["--build-arg", f"BASE={base}", "--tag", IMAGE]
    podman(*command, "--file", ROOT / "deploy/container/Containerfile", ROOT)


def run() -> None:
    """Run the image as docs/containers.md says, and use it as clients and operators do."""
    options = ["--detach", "--name", NAME, "--read-only", "--tmpfs", "/tmp"]
    options += ["--cap-drop", "ALL", "--stop-timeout", "60", "--network", "none"]
    options += LIMITS
    podman("run", *options, IMAGE)
    wait_until_healthy()
    done("the image starts with a read-only root, and is healthy")
    log = podman("logs", NAME).stdout
    (password,) = re.findall("^First user: admin, password: ([^ ]+)", log, re.MULTILINE)
    image_id = client(password)
    done("a client stores an image and reads it")
    assert podman("exec", NAME, "id", "-u").stdout.strip() == "10001"
    assert podman("exec", NAME, "touch", "/here", check=False).returncode != 0
    done("it runs as a user without rights")
    assert (
        image_id
        in podman("exec", NAME, "imagecatalog", "image_status", image_id).stdout
    )
    done("commands run in the container")
    podman("stop", NAME)
    code = podman("inspect", "--format", "{{.State.ExitCode}}", NAME).stdout.strip()
    assert code == "0", podman("logs", NAME).stdout
    done("it stops cleanly")
    podman("start", NAME)
    wait_until_healthy()
    assert client(password, image_id) == image_id
    done("the image is there after a restart")


def wait_until_healthy() -> None:
    servers.wait_until(
        lambda: podman("healthcheck", "run", NAME, check=False).returncode == 0,
        "the health check",
        60,
    )


def client(password: str, image_id: str = "") -> str:
    python = "/opt/imagecatalog/bin/python"
    return podman("exec", NAME, python, "-c", CLIENT, password, image_id).stdout.strip()


def done(step: str) -> None:
    print(f"ok      {step}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="container", description=__doc__)
    parser.add_argument("--base", help="an image that Podman has or finds")
    base = parser.parse_args().base
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        if not base:
            make_base()
        build(base or BASE)
        done("the image is built")
        run()
    except subprocess.CalledProcessError as error:
        print(f"FAILED  {error}\n{error.stdout}")
        return 1
    finally:
        podman("rm", "--force", "--volumes", NAME, check=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
