"""Starts the service that is measured, on a database and a folder of its own."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests import servers, web
from tests.bench import signin
from tests.bench.wire import BenchError

CACHED_STORE = "remote"  # an object store


@contextmanager
def started(
    folder: Path, database: str, workers: int, *, source: str, cached: bool
) -> Iterator[servers.Service]:
    """Our service on ``postgresql`` or ``sqlite``, stopped afterwards; its log is shown when it fails.

    It may import from the web server of the URL ``source``. ``cached``: it also has an object
    store, and a cache in front of that.
    """
    env = web.allow(source) | {
        "IMAGECATALOG_STATIC_KEYS": f"admin:{secrets.token_urlsafe(24)}",
        # The samples' data would fill the disk.
        "IMAGECATALOG_DELAYED_DELETE": "off",
        "IMAGECATALOG_PUBLISH": "public",
        # The images of the big catalogue have no data.
        "IMAGECATALOG_VERIFY_EVERY": "0",
        "IMAGECATALOG_STORES": ",".join(
            f"{name}=file://{folder}/stores/{name}" for name in ("local", "far")
        ),
    }
    with ExitStack() as stack:
        if cached:
            s3 = stack.enter_context(servers.nanio(folder))
            env |= s3.env
            env["IMAGECATALOG_STORES"] += f",{s3.store(CACHED_STORE)}"
            env["IMAGECATALOG_CACHE_DIR"] = str(folder / "cache")
        if database == "postgresql":
            env["DATABASE_URL"] = stack.enter_context(servers.postgres(syncs=True))
        run = stack.enter_context(servers.catalogue(folder, env, workers=workers))
        try:
            yield run
        except (BenchError, OSError):
            print(run.log.read_text(errors="replace")[-4000:], file=sys.stderr)
            raise


def headers(service: servers.Service, how: str) -> Mapping[str, str]:
    """What ``--auth`` says, with the first user's password or key where it names none."""
    if how == "basic":
        return signin.basic(*service.auth)
    if how == "token":
        key = service.env["IMAGECATALOG_STATIC_KEYS"].partition(":")[2]
        return {"X-Auth-Token": key}
    return signin.headers(how)
