"""What the scripts share that fetch images from a published tree, without the Image API."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

PUB = os.environ["INTEROP_PUB"]  # the URL of the tree, without a slash at its end
CERTIFICATE = os.environ["SSL_CERT_FILE"]  # of its server
IMAGES = Path(os.environ["INTEROP_IMAGES"])  # what was uploaded: FAMILY-LABEL.qcow2
KEYRING = Path(os.environ["INTEROP_KEYRING"])  # with the key that signs the tree
FOLDER = Path(os.environ["INTEROP_FOLDER"])  # for the files of this client
FILES = {path.name: path.read_bytes() for path in sorted(IMAGES.iterdir())}
VERSIONS = [tuple(name.removesuffix(".qcow2").rsplit("-", 1)) for name in FILES]
CURRENT = dict(VERSIONS)  # family -> label: the last one


def file_name(family: str, label: str) -> str:
    """The name of the file of a version."""
    return f"{family}-{label}.qcow2"


def url(family: str, label: str) -> str:
    """The address of the file of a version."""
    return f"{PUB}/images/{family}/{label}/{file_name(family, label)}"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def virtual_size(path: Path) -> int:
    """The size of the disk in a file, in bytes."""
    size: int = json.loads(run("qemu-img", "info", "--output=json", path))[
        "virtual-size"
    ]
    return size


def attempt(*words: str | Path, cwd: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, however it ends."""
    return subprocess.run(
        words, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )


def run(*words: str | Path, cwd: Path = FOLDER) -> str:
    """Run a command; what it printed. Raises AssertionError if it fails."""
    ended = attempt(*words, cwd=cwd)
    assert ended.returncode == 0, f"{words}: {ended.stdout}{ended.stderr}"
    return ended.stdout


def done(step: str) -> None:
    """Report a step that has succeeded."""
    print(f"done: {step}", flush=True)
