"""The command that examines an installation and tries its parts."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.db import DatabaseError

from images import data_folder
from images.console import CatalogueCommand
from images.management.doctor import (
    configuration,
    database,
    jobs,
    proxies,
    publishing,
    running,
    service,
    storage,
)
from images.management.doctor.result import FAIL, OK, Result, fail
from images.units import counted

Check = Callable[[], Iterator[Result]]

WITHOUT_DATABASE: tuple[Check, ...] = (
    configuration.release,
    configuration.variables,
    storage.permissions,
    storage.disks,
    database.file_system,
    proxies.all_checks,
    service.maintenance,
    service.keystone,
    service.backups,
    publishing.key,
)
CONNECT: Check = database.tables
WITH_DATABASE: tuple[Check, ...] = (
    database.rights,
    database.isolation,
    database.clock,
    database.needed_stores,
    storage.all_stores,
    storage.unfinished_uploads,
    service.worker,
    jobs.jobs,
    service.verification,
    publishing.versions,
)


class Command(CatalogueCommand):
    help = (
        "Examine this installation: settings, disks, permissions, proxies, backups, database, "
        "migrations, clock, stores, damaged data, background worker, jobs and publishing. Writes, "
        "reads and deletes an object in each store, and changes nothing else. Prints a line for each "
        "check, with what to do. Exit code 1: a check has failed. With --show-settings, --live or "
        "--ready it does only that."
    )
    requires_system_checks: list[str] = []  # the command runs them itself

    def add_arguments(self, parser: ArgumentParser) -> None:
        only = parser.add_mutually_exclusive_group()
        only.add_argument(
            "--show-settings",  # Django has a --settings
            action="store_true",
            help="print the value of each environment variable that is in effect, and where it "
            "comes from (environment, file or default); secrets are not shown",
        )
        only.add_argument(
            "--live",
            action="store_true",
            help="ask /livez at IMAGECATALOG_MANAGEMENT_BIND whether the running service lives",
        )
        only.add_argument(
            "--ready",
            action="store_true",
            help="ask /readyz at IMAGECATALOG_MANAGEMENT_BIND whether the running service is ready for "
            "requests",
        )
        self.add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["show_settings"]:
            self._show_settings()
        elif options["live"]:
            self._report(running.live())
        elif options["ready"]:
            self._report(running.ready())
        else:
            self._report(_results())

    def _show_settings(self) -> None:
        for one in settings.IMAGECATALOG_VARIABLES:
            source = f"{one.source} {one.file}" if one.file else one.source
            self.write_row(f"{one.name}={one.value}  ({source})", **one._asdict())

    def _report(self, results: Iterable[Result]) -> None:
        """Write a line for each result. Raises CommandError if a check has failed."""
        failed = 0
        for result in results:
            self.write_row(_line(result), **asdict(result))
            failed += result.status == FAIL
        if failed:
            raise CommandError(f"{counted(failed, 'check')} failed.")


def _line(result: Result) -> str:
    line = f"{result.status:4} {result.check}: {result.text}"
    if result.status == OK:
        return line
    end = "" if line.endswith((".", "?")) else "."
    return f"{line}{end} {result.advice}".rstrip()


def _results() -> Iterator[Result]:
    for check in WITHOUT_DATABASE:
        yield from _tried(check)
    found = list(_tried(CONNECT))
    yield from found
    if any(result.status == FAIL for result in found):
        return  # the other checks would fail for the same reason
    for check in WITH_DATABASE:
        yield from _tried(check)


def _tried(check: Check) -> Iterator[Result]:
    try:
        yield from check()
    except DatabaseError as error:
        yield database.reason(error)
    except OSError as error:
        yield _file_failed(error)
    except ImproperlyConfigured as error:
        yield fail(
            "settings", str(error), "See the page Configuration of the documentation."
        )


def _file_failed(error: OSError) -> Result:
    if error.filename is None:
        return fail("system", str(error), "Run `doctor` again.")
    path = Path(os.fsdecode(error.filename))
    return fail("files", data_folder.sentence(path, error), "")
