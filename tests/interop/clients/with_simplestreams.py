"""``sstream-query`` and ``sstream-mirror``, signed, and ``incus-simplestreams`` in the mirror."""

from __future__ import annotations

import hashlib
import json

from tree import CURRENT, FILES, FOLDER, KEYRING, PUB, attempt, done, run

INDEX = "streams/v1/index.sjson"
KEY = ("--keyring", KEYRING)
MIRROR = ("sstream-mirror", *KEY, "--path", INDEX)


def query(*words: str) -> list[dict[str, str]]:
    """The items that a query finds."""
    found: list[dict[str, str]] = json.loads(
        run(
            "sstream-query", *KEY, "--json", *words, f"{PUB}/{INDEX}", "ftype=disk1.img"
        )
    )
    return found


items = query()
assert len(items) == len(FILES), items
for item in items:
    data = FILES[item["path"].rpartition("/")[2]]
    assert item["size"] == str(len(data)), item
    for name in ("md5", "sha256", "sha512"):
        assert item[name] == hashlib.new(name, data).hexdigest(), item
done("query: every file, with its size and digests")

newest = {item["path"].split("/")[1]: item["version_name"] for item in query("--max=1")}
assert {family: serial[:8] for family, serial in newest.items()} == CURRENT, newest
done("query: the current version is the newest")

run(*MIRROR, f"{PUB}/", "mirror")
mirror = FOLDER / "mirror"
mirrored = {path.name: path.read_bytes() for path in mirror.rglob("*.qcow2")}
assert mirrored == FILES, list(mirrored)
done("mirror, and verify signature and digests")

assert "+" not in run(*MIRROR, f"{PUB}/", "mirror")
done("mirror nothing the second time")

forged = mirror / "streams/v1/images.sjson"
text = forged.read_text()
forged.write_text(text.replace("debian", "debiam"))
refused = attempt(*MIRROR, mirror, "other")
assert refused.returncode, "a changed file was accepted"
assert "gpgv" in refused.stderr, refused.stderr
assert not [*FOLDER.glob("other/**/*.qcow2")]
forged.write_text(text)
run(*MIRROR, mirror, "other")
done("refuse a changed file")
