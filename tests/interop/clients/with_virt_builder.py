"""The commands ``virt-builder`` and ``virt-index-validate``."""

from __future__ import annotations

import json

from tree import (
    CURRENT,
    FILES,
    FOLDER,
    IMAGES,
    PUB,
    attempt,
    done,
    file_name,
    run,
    virtual_size,
)

BUILDER = ("virt-builder", "--cache", "cache")


def use(index: str) -> None:
    """Let virt-builder use this index, and no other one."""
    repositories = FOLDER / ".config/virt-builder/repos.d"
    repositories.mkdir(parents=True, exist_ok=True)
    key = f"gpgkey=file://{FOLDER}/key.asc"
    (repositories / "ours.conf").write_text(f"[ours]\nuri={index}\n{key}\n")


for name in ("key.asc", "index", "index.asc"):
    run("curl", "-fsS", "-o", name, f"{PUB}/{name}")
run("virt-index-validate", "index")
done("validate the index")

use(f"{PUB}/index.asc")
(FOLDER / "cache").mkdir()
listed = json.loads(run(*BUILDER, "--list", "--list-format", "json"))["templates"]
sizes = {one["os-version"]: one["size"] for one in listed}
assert sizes == {
    family: virtual_size(IMAGES / file_name(family, label))
    for family, label in CURRENT.items()
}, listed
done("list the families, with the sizes of their disks")

run(*BUILDER, "--cache-all-templates")
cached = {
    path.name.partition(".x86_64")[0]: path for path in (FOLDER / "cache").iterdir()
}
assert {family: path.read_bytes() for family, path in cached.items()} == {
    family: FILES[file_name(family, label)] for family, label in CURRENT.items()
}, cached
done("fetch the current image of each family, and verify it")

signed = (FOLDER / "index.asc").read_text()
(FOLDER / "forged.asc").write_text(signed.replace("debian", "debiam"))
use(f"file://{FOLDER}/forged.asc")
refused = attempt(*BUILDER, "--list")
assert refused.returncode, refused.stdout
assert "GPG failure" in refused.stderr, refused.stderr
done("refuse a changed index")
