"""The command that shows the read cache of this machine, or removes data from it."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandError

from images import access, cache, errors, lifecycle
from images.access import operator
from images.console import CatalogueCommand, iso, say
from images.units import counted, size


class Command(CatalogueCommand):
    help = (
        "Show what the cache of this machine (IMAGECATALOG_CACHE_DIR) has, and what it has "
        "done since its folder was created. With an option, list or change what is cached."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        one = parser.add_mutually_exclusive_group()
        one.add_argument(
            "--list",
            action="store_true",
            help="print a line for each image that is cached: id, bytes, hits and time of the "
            "last use; then a line for each image that is queued",
        )
        one.add_argument(
            "--queue",
            nargs="+",
            metavar="ID",
            help="let the worker of this machine cache images",
        )
        one.add_argument(
            "--remove",
            nargs="+",
            metavar="ID",
            help="remove images from the cache and from its queue",
        )
        one.add_argument(
            "--clear", action="store_true", help="remove everything from the cache"
        )
        self.add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if not cache.is_on():
            raise CommandError(
                "This machine has no cache. Set IMAGECATALOG_CACHE_DIR to a folder."
            )
        try:
            self._run(options)
        except errors.StoreError as error:
            raise CommandError(str(error)) from error

    def _run(self, options: dict[str, Any]) -> None:
        if options["list"]:
            self._list()
        elif options["queue"]:
            self._each(options["queue"], _queue, "queued")
        elif options["remove"]:
            self._each(options["remove"], cache.remove_or_dequeue, "removed")
        elif options["clear"]:
            cache.clear()
            self.stdout.write("The cache is empty.")
        else:
            self._sum_up()

    def _list(self) -> None:
        for entry in reversed(cache.contents()):
            used_at = datetime.fromtimestamp(entry.used_at, UTC)
            hits = counted(entry.hits, "hit")
            self.write_row(
                f"{entry.image_id} {entry.size} {hits} {iso(used_at)}",
                image_id=entry.image_id,
                size=entry.size,
                hits=entry.hits,
                last_used_at=used_at,
                queued=False,
            )
        for image_id in cache.queued():
            self.write_row(f"{image_id} queued", image_id=image_id, queued=True)

    def _each(
        self, ids: Iterable[str], change: Callable[[str], None], done: str
    ) -> None:
        failed = 0
        for image_id in dict.fromkeys(ids):
            try:
                change(image_id)
            except (errors.Invalid, errors.NotFound) as error:
                failed += 1
                self.stderr.write(f"{image_id}: {error}")
            else:
                say(self.stdout, f"{image_id}: {done}")
        if failed:
            raise CommandError(f"{counted(failed, 'image')} not {done}.")

    def _sum_up(self) -> None:
        entries, done = cache.contents(), cache.statistics()
        used, limit = sum(entry.size for entry in entries), cache.limit()
        queued = len(cache.queued())
        self.write_row(
            f"{counted(len(entries), 'image')}, {size(used)} of {size(limit)}; "
            f"{queued} queued",
            images=len(entries),
            bytes=used,
            limit=limit,
            queued=queued,
            **done._asdict(),
        )
        self.write_summary(
            f"{counted(done.hits, 'hit')}, {size(done.hit_bytes)}; "
            f"{counted(done.misses, 'miss', 'misses')}, "
            f"{counted(done.fills, 'fill')}, {counted(done.evictions, 'eviction')}"
        )


def _queue(image_id: str) -> None:
    lifecycle.cache_later(access.get_image(operator("command"), image_id))
