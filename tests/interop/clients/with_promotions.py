"""Promotions and a rollback while clients fetch images: every answer is of one version."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
from tree import (
    CERTIFICATE,
    FILES,
    FOLDER,
    KEYRING,
    PUB,
    VERSIONS,
    done,
    file_name,
    run,
    sha256,
    url,
)

SECONDS = 5  # for each client
FAMILY = VERSIONS[-1][0]
LABELS = [label for family, label in VERSIONS if family == FAMILY]
OF_FAMILY = {label: FILES[file_name(FAMILY, label)] for label in LABELS}
CURRENT = f"{PUB}/images/{FAMILY}/current"

ADMIN = (os.environ["INTEROP_USERNAME"], os.environ["INTEROP_PASSWORD"])


def ask(method: str, url: str, **options: Any) -> requests.Response:
    """The answer to a request, which succeeds."""
    answer = requests.request(method, url, verify=CERTIFICATE, timeout=60, **options)
    assert answer.ok, answer.text
    return answer


def change(verb: str, **document: str) -> None:
    """Promote a version of the family, or roll back."""
    api = f"{PUB.removesuffix('/pub')}/catalog/v1/families/{FAMILY}"
    ask("POST", f"{api}/{verb}", json=document, auth=ADMIN)


def current() -> str:
    """The label of the version that the tree has as the current one."""
    return label_of(ask("HEAD", f"{CURRENT}/{FAMILY}.qcow2"))


def label_of(answer: requests.Response) -> str:
    """The label of the version whose file the answer has."""
    return answer.headers["Content-Location"].split("/")[-2]


def wait_for(label: str) -> None:
    """Wait until a version is the current one in the tree."""
    end = time.monotonic() + 60
    while current() != label:
        assert time.monotonic() < end, f"{label} did not become current in the tree"
        time.sleep(0.05)


class Promotions(threading.Thread):
    """Promotes one version after the other, each as soon as the tree has the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0  # of those that the tree has
        self.failure: Exception | None = None
        self._ending = threading.Event()

    def run(self) -> None:
        try:
            for label in itertools.cycle(LABELS):
                change("promote", version=label)
                wait_for(label)
                self.count += 1
                if self._ending.is_set():
                    return
        except Exception as failure:
            self.failure = failure

    def end(self) -> None:
        """Wait for the last one. Raises what has failed."""
        self._ending.set()
        self.join()
        if self.failure:
            raise self.failure


def while_promoting(what: str, fetch: Callable[[Path], None]) -> None:
    """Let a client fetch again and again into new folders, while the tree changes."""
    promotions, count = Promotions(), 0
    end = time.monotonic() + SECONDS
    promotions.start()
    try:
        while time.monotonic() < end:
            folder = Path(tempfile.mkdtemp(dir=FOLDER))
            fetch(folder)
            shutil.rmtree(folder)
            count += 1
    finally:
        promotions.end()
    done(f"{what}: {count} times, with {promotions.count} promotions")


def is_whole(folder: Path, names: set[str] | None = None) -> None:
    """Check that a folder has these files of versions, or those of all."""
    found = {path.name: path.read_bytes() for path in folder.rglob("*.qcow2")}
    assert found == {name: FILES[name] for name in names or FILES}, list(found)


def fetch_current(folder: Path) -> None:
    answer = ask("GET", f"{CURRENT}/{FAMILY}.qcow2")
    label = label_of(answer)
    assert answer.content == OF_FAMILY[label], label
    (listed,) = [
        line.split()[0]
        for line in run("curl", "-fsS", f"{CURRENT}/SHA256SUMS").splitlines()
        if line.endswith(".qcow2")
    ]
    assert listed in {sha256(data) for data in OF_FAMILY.values()}, listed
    run("curl", "-fsS", "-o", folder / "signed", f"{CURRENT}/SHA256SUMS.asc")
    run("gpgv", "--keyring", KEYRING, folder / "signed")


def fetch_version(folder: Path) -> None:
    address = url(FAMILY, LABELS[0])
    sums = f"{address.rpartition('/')[0]}/SHA256SUMS"
    for one in (address, sums, f"{sums}.gpg"):
        run("curl", "-fsSO", one, cwd=folder)
    run("gpgv", "--keyring", KEYRING, "SHA256SUMS.gpg", "SHA256SUMS", cwd=folder)
    run("sha256sum", "--check", "--ignore-missing", "SHA256SUMS", cwd=folder)


def forget_indexes() -> None:
    """Remove what incus keeps of indexes for 5 minutes."""
    shutil.rmtree(FOLDER / ".cache", ignore_errors=True)


def export(program: str) -> Callable[[Path], None]:
    def fetch(folder: Path) -> None:
        forget_indexes()
        run(program, "image", "export", f"ours:{FAMILY}", folder / "image", "--vm")
        assert (folder / "image.root").read_bytes() in OF_FAMILY.values()

    return fetch


def mirror(folder: Path) -> None:
    index = "streams/v1/index.sjson"
    run("sstream-mirror", "--keyring", KEYRING, "--path", index, f"{PUB}/", folder)
    mirrored = {path.name for path in folder.rglob("*.qcow2")}
    is_whole(folder, mirrored)


def cache_templates(folder: Path) -> None:
    run("virt-builder", "--cache", folder, "--cache-all-templates")
    cached = next(folder.glob(f"{FAMILY}.*"))
    assert cached.read_bytes() in OF_FAMILY.values()


def copy(folder: Path) -> None:
    # Under current/ a copy would compare the size of one version with another one.
    words = ("--http-url", f"{PUB}/", "--exclude=current/**")
    run("rclone", "copy", *words, ":http:images", folder)
    is_whole(folder)


(FOLDER / ".config/lxc").mkdir(parents=True)
for program in ("incus", "lxc"):
    words = ("--protocol=simplestreams", "--public")
    run(program, "remote", "add", "ours", PUB, *words)
repositories = FOLDER / ".config/virt-builder/repos.d"
repositories.mkdir(parents=True)
run("curl", "-fsSO", f"{PUB}/key.asc")
key = f"gpgkey=file://{FOLDER}/key.asc"
(repositories / "ours.conf").write_text(f"[ours]\nuri={PUB}/index.asc\n{key}\n")

while_promoting("current/", fetch_current)
while_promoting("a version with its digests and their signature", fetch_version)
while_promoting("incus image export", export("incus"))
while_promoting("lxc image export", export("lxc"))
while_promoting("sstream-mirror", mirror)
while_promoting("virt-builder --cache-all-templates", cache_templates)
while_promoting("rclone copy", copy)


def exported() -> bytes:
    """What incus exports as the current image."""
    forget_indexes()
    run("incus", "image", "export", f"ours:{FAMILY}", "image", "--vm")
    return (FOLDER / "image.root").read_bytes()


old, new = LABELS[-2:]
for label in (old, new):
    change("promote", version=label)
wait_for(new)
assert exported() == OF_FAMILY[new]
change("rollback")
wait_for(old)
assert exported() == OF_FAMILY[old]
change("promote", version=new)
wait_for(new)
done("incus follows a rollback")
