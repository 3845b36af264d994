"""Programs from Debian's packages, which are unpacked below var/environments, not installed.

That needs no root, and only those dependencies of the packages that the programs use here.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests import environments
from tests.servers import Missing

# Each package with its names in several releases: the names of libraries change.
PACKAGES = (
    ("incus-client",),  # in Debian 12 among the backports
    ("incus-extra",),
    ("lxd-client",),
    ("guestfs-tools",),
    ("libguestfs0t64", "libguestfs0"),
    ("libfuse2t64", "libfuse2"),
    ("libhivex0",),
    ("libnl-3-200",),
    ("libssh-4",),
    ("libvirt0",),
    ("libyajl2",),
    ("rclone",),
    ("aria2",),
    ("libaria2-0",),
    ("libc-ares2",),
)
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def environ() -> dict[str, str]:
    """The variables PATH and LD_LIBRARY_PATH, with which the programs and their libraries are found.

    Fetches the packages when they are not there. Raises Missing on systems other than Debian.
    """
    folder = environments.HOME / "debian"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process may be fetching them
        packages = [names[0] for names in PACKAGES]
        if environments.lacks(folder, packages):
            print(f"Unpacking {', '.join(packages)} into {folder}", flush=True)
            _unpack(folder)
            environments.note(folder, packages)
    libraries = [*folder.glob("usr/lib/*-linux-gnu"), *folder.glob("lib/*-linux-gnu")]
    return {
        "PATH": f"{folder}/usr/bin:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
    }


def _unpack(folder: Path) -> None:
    """Download the packages, and unpack them into the folder."""
    apt = folder / "apt"
    shutil.rmtree(apt, ignore_errors=True)
    options = _options(apt)
    subprocess.run(["apt-get", *options, "-qq", "update"], check=True)
    known = set(_output("apt-cache", *options, "pkgnames").split())
    names = [_first(names, known) for names in PACKAGES]
    subprocess.run(
        ["apt-get", *options, "-qq", "download", *names], cwd=apt, check=True
    )
    for package in apt.glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", package, folder], check=True)
    shutil.rmtree(apt)


def _first(names: Sequence[str], known: set[str]) -> str:
    """The first of the names of a package that this release knows. Raises Missing if it knows none."""
    found = next((name for name in names if name in known), None)
    if found is None:
        raise Missing(f"this release of Debian has no package {' or '.join(names)}")
    return found


def _options(folder: Path) -> list[str]:
    """Options for apt to use only this release of Debian and its backports, with its files in a folder.

    Raises Missing on systems other than Debian.
    """
    address = next(_addresses(release := _release()), None)
    if address is None:
        raise Missing(
            "the programs come from packages of Debian, and this system is another one"
        )
    (folder / "lists").mkdir(parents=True)
    sources = folder / "sources.list"
    suites = (release, f"{release}-backports")
    lines = [f"deb [signed-by={KEYRING}] {address} {suite} main\n" for suite in suites]
    sources.write_text("".join(lines))
    options = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": folder / "lists",
        "Dir::Cache": folder,
        "APT::Sandbox::User": "root",  # apt's own user cannot write here
    }
    return [f"-o{name}={value}" for name, value in options.items()]


def _release() -> str:
    """The code name of the system's release."""
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "")


def _addresses(release: str) -> Iterator[str]:
    """The addresses from which apt takes the packages of this release of Debian."""
    if not Path(KEYRING).exists() or not shutil.which("apt-get"):
        return
    form = ("--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages")
    for line in _output("apt-get", "indextargets", *form).splitlines():
        name, _, address = line.partition(" ")
        if name == release:
            yield address


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
