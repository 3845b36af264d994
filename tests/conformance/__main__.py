"""``python -m tests.conformance [REGEX]``: run the image API's own suite against our service.

It brings a PostgreSQL, a Keystone, our service behind it, and Tempest with the plugin of the
image service. There are three runs: ``complete``, with every feature; ``trusting``, in which the
service believes what clients say of data; and ``defaults``. Exit code 1 when other tests fail or
are skipped than those that are listed, with reasons, in files beside this module. It needs
qemu-img.
"""

from __future__ import annotations

import argparse
import contextlib
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests import environments, servers
from tests.conformance import suite
from tests.conformance.runs import RUNS, Run
from tests.keystone import (
    SECOND,
    keystone,
    make_service_user,
    register,
    register_limits,
)
from tests.web import serving_folder

DISKS = {  # file -> options of qemu-img
    "tiny.qcow2": ["-f", "qcow2"],
    "tiny.vmdk": ["-f", "vmdk", "-o", "subformat=streamOptimized"],
    "tiny.vhdx": ["-f", "vhdx"],
    "tiny.vdi": ["-f", "vdi"],
    "tiny.raw": ["-f", "raw"],
}


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__)
    add = parser.add_argument
    add("regex", nargs="?", help="tests by name")
    names = [run.name for run in RUNS]
    add("--run", choices=names, action="append", help="only this run")
    add("--concurrency", type=int, default=2, help="test processes (default: 2)")
    add("--keep", action="store_true", help="keep the folder with logs and data")
    return parser.parse_args()


def main() -> int:
    asked = options()
    for name in environments.CONFORMANCE:
        environments.programs(name)
    folder = Path(tempfile.mkdtemp(prefix="conformance-"))
    surprises: list[str] = []
    try:
        for run in RUNS:
            if run.name in (asked.run or [run.name]):
                surprises += _carry_out(run, folder / run.name, asked)
    finally:
        if surprises or asked.keep:
            print(f"\nlogs and data: {folder}", flush=True)
        else:
            shutil.rmtree(folder)
    return 1 if surprises else 0


def _carry_out(run: Run, folder: Path, asked: argparse.Namespace) -> list[str]:
    """Run the suite, print what came of it, and return what differs from the lists."""
    folder.mkdir()
    verdicts = _verdicts(run, folder, asked)
    surprises = run.surprises(verdicts, complete=not asked.regex)
    if not verdicts.of("passed"):
        surprises.append("no test has passed")
    print(f"\n{run.name}")
    for kind in ("skipped", "failed"):
        for name in verdicts.of(kind):
            print(f"  {kind}: {name}")
    for surprise in surprises:
        print(f"  {surprise}")
    counts = (f"{len(verdicts.of(it))} {it}" for it in ("passed", "skipped", "failed"))
    print(f"  {', '.join(counts)}, {len(surprises)} surprises", flush=True)
    return surprises


def _verdicts(run: Run, folder: Path, asked: argparse.Namespace) -> suite.Verdicts:
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(servers.postgres())
        _make_files(folder / "files")
        files = stack.enter_context(serving_folder(folder / "files"))
        identity = stack.enter_context(
            keystone(folder / "keystone", servers.new_database(database))
        )
        make_service_user(identity)
        settings = {
            "DATABASE_URL": servers.new_database(database),
            "IMAGECATALOG_SECRET_KEY": secrets.token_hex(32),
            **identity.for_the_service(),
        }
        files_port = files.rpartition(":")[2]
        for kind in ("image", SECOND) if run.two_services else ("image",):
            own = folder / kind
            own.mkdir()
            port = servers.free_port()
            chosen = {
                name: value.format(folder=folder, own=own, files=files_port, port=port)
                for name, value in run.settings.items()
            }
            service = stack.enter_context(
                servers.catalogue(own, settings | chosen, port=port)
            )
            register(identity, kind, service.url)
        if run.limited:
            register_limits(identity)
        return suite.run(
            folder / "tempest",
            identity,
            suite.Choice(
                asked.regex or run.tests,
                run.excluded,
                files,
                run.strict,
                SECOND if run.two_services else "",
            ),
            asked.concurrency,
            _say,
        )


def _make_files(folder: Path) -> None:
    """Make small disks, and the suite's list of those that every service must accept."""
    folder.mkdir()
    (folder / "tiny.img").write_bytes(bytes(range(256)) * 256)
    manifest = ["images:"]
    for file, options in DISKS.items():
        make = ["qemu-img", "create", "-q", *options, folder / file, "1M"]
        subprocess.run(make, check=True)
        manifest += [f"- name: {file}", f"  filename: {file}", "  usable: true"]
        manifest += [f"  format: {file.rpartition('.')[2]}"]
    (folder / suite.MANIFEST).write_text("\n".join(manifest))


def _say(line: str) -> None:
    if sys.stdout.isatty():
        print(f"\r{line[:100]:<100}", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
