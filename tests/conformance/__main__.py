"""``python -m tests.conformance [REGEX]``: run the image API's own suite against our service.

It brings a PostgreSQL, a Keystone, our service behind it, and Tempest with the plugin of the
image service. Without REGEX all of it is run, and then again, with a service that takes data of
any format, what is skipped otherwise. Exit code 1 when a test failed.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.server
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from tests import servers
from tests.conformance import environments, suite
from tests.conformance.keystone import (
    Keystone,
    keystone,
    make_service_user,
    register,
)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__)
    add = parser.add_argument
    add("regex", nargs="?", help="tests by name")
    add("--lenient", action="store_true", help="take data of any format")
    add("--concurrency", type=int, default=2, help="test processes (default: 2)")
    add("--keep", action="store_true", help="keep the folder with logs and data")
    return parser.parse_args()


def main() -> int:
    asked = options()
    for name in environments.PACKAGES:
        environments.programs(name)
    folder = Path(tempfile.mkdtemp(prefix="conformance-"))
    failed = True
    verdicts = suite.Verdicts()
    try:
        for number, (strict, regex) in enumerate(_runs(asked)):
            place = folder / str(number)
            place.mkdir()
            verdicts.add(_run(place, asked, strict, regex))
        failed = bool(verdicts.of("failed")) or not verdicts.of("passed")
    finally:
        if failed or asked.keep:
            print(f"\nlogs and data: {folder}", flush=True)
        else:
            shutil.rmtree(folder)
    return _report(verdicts, failed)


def _runs(asked: argparse.Namespace) -> list[tuple[bool, str]]:
    if asked.regex or asked.lenient:
        return [(not asked.lenient, asked.regex or suite.IMAGE_API)]
    return [(True, suite.IMAGE_API), (False, suite.OF_ANY_FORMAT)]


def _run(
    folder: Path, asked: argparse.Namespace, strict: bool, regex: str
) -> suite.Verdicts:
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(servers.postgres())
        files = stack.enter_context(_files(folder / "files"))
        identity = stack.enter_context(
            keystone(folder / "keystone", servers.new_database(database))
        )
        make_service_user(identity)
        env = _settings(folder, identity, files) | {
            "DATABASE_URL": servers.new_database(database),
            "IMAGECATALOG_REQUIRE_FORMAT_MATCH": "on" if strict else "off",
        }
        service = stack.enter_context(servers.catalogue(folder, env))
        register(identity, service.url)
        return suite.run(
            folder / "tempest",
            identity,
            files,
            regex,
            asked.concurrency,
            strict,
            _say,
        )


def _settings(folder: Path, identity: Keystone, files: str) -> dict[str, str]:
    stores = ",".join(
        f"{name}=file://{folder}/{name}?weight={weight}"
        for name, weight in (("file1", 100), ("file2", 200))
    )
    return identity.for_the_service() | {
        "IMAGECATALOG_STORES": stores,
        "IMAGECATALOG_URL_ALLOWED_HOSTS": "127.0.0.1",
        "IMAGECATALOG_URL_ALLOWED_PORTS": files.rpartition(":")[2],
        # What the suite expects since version 2.4 of the API; and it gives digests that are
        # not those of the data.
        "IMAGECATALOG_LAST_LOCATION": "forbid",
        "IMAGECATALOG_LOCATION_DATA": "trust",
        "IMAGECATALOG_ACCESS_LOG": "on",
    }


@contextlib.contextmanager
def _files(folder: Path) -> Iterator[str]:
    """An http server with two small images, for locations and downloads."""
    folder.mkdir()
    (folder / "tiny.img").write_bytes(bytes(range(256)) * 256)
    if shutil.which("qemu-img"):
        make = ["qemu-img", "create", "-q", "-f", "qcow2", folder / "tiny.qcow2", "1M"]
        subprocess.run(make, check=True)
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def _say(line: str) -> None:
    if sys.stdout.isatty():
        print(f"\r{line[:100]:<100}", end="", flush=True)


def _report(verdicts: suite.Verdicts, failed: bool) -> int:
    print()
    for kind in ("skipped", "failed"):
        for name in verdicts.of(kind):
            print(f"{kind}: {name}")
    counts = (f"{len(verdicts.of(it))} {it}" for it in ("passed", "skipped", "failed"))
    print(", ".join(counts), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
