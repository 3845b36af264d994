"""The commands ``incus`` and ``lxc``, which fetch images by simplestreams over TLS."""

from __future__ import annotations

import json

from tree import CURRENT, FILES, FOLDER, PUB, VERSIONS, done, file_name, run, sha256

SIMPLESTREAMS = ("--protocol=simplestreams", "--public")
(FOLDER / ".config" / "lxc").mkdir(parents=True)  # lxc does not make it


def fingerprints(program: str) -> set[str]:
    """The fingerprints of the images that a program lists."""
    listed = json.loads(run(program, "image", "list", f"{program}:", "--format=json"))
    found = {image["fingerprint"] for image in listed}
    assert len(listed) == len(found) == len(VERSIONS), listed
    assert {image["type"] for image in listed} == {"virtual-machine"}, listed
    return found


def export(program: str, family: str) -> str:
    """Export the current image of a family; its fingerprint."""
    image = f"{program}:{family}"
    metadata = FOLDER / f"{program}-{family}"
    run(program, "image", "export", image, metadata, "--vm")
    disk = metadata.with_name(f"{metadata.name}.root").read_bytes()
    assert disk == FILES[file_name(family, CURRENT[family])], family
    fingerprint = sha256(metadata.read_bytes() + disk)
    for name in (image, image.replace("-", "/")):  # debian-13, debian/13
        shown = run(program, "image", "info", name, "--vm")
        assert f"Fingerprint: {fingerprint}\n" in shown, shown
    return fingerprint


for program in ("incus", "lxc"):
    run(program, "remote", "add", program, PUB, *SIMPLESTREAMS)
    known = fingerprints(program)
    done(f"{program}: list every version once")

    assert {export(program, family) for family in CURRENT} < known
    done(
        f"{program}: export current images by their names, and verify their fingerprints"
    )
