"""The command that permanently deletes images in the trash."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from images import errors, lifecycle
from images.access import operator
from images.console import CatalogueCommand, confirm, iso, progress, say
from images.management import paused
from images.models import Image, Status
from images.stores.circuit_breaker import CircuitBreaker
from images.units import counted, size


class Command(CatalogueCommand):
    help = (
        "Scrub the trash: delete permanently the images whose scrub time "
        "(IMAGECATALOG_SCRUB_TIME) is over, and remove objects that are due for removal. The "
        "service does this continuously; this command does it now. Prints the id of each "
        "image. If a store fails, the command continues, and the service retries the removal "
        "later."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "ids", nargs="*", metavar="ID", help="scrub only these images; default: all"
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="only list the images; change nothing",
        )
        parser.add_argument(
            "--now",
            action="store_true",
            help="do not wait for the scrub time: images that are in the trash now cannot be "
            "restored afterwards. Asks for confirmation on a terminal",
        )
        self.add_yes_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["dry_run"]:
            paused.refuse()
        until = timezone.now() if options["now"] else lifecycle.due_until()
        refused = 0
        if options["ids"]:
            due = list(self._due(options["ids"], until))
            refused = len(set(options["ids"])) - len(due)
            count, total = len(due), sum(image.size or 0 for image in due)
            self._run(due, count, total, until, options)
        else:
            count, total = lifecycle.trash_total(until=until)
            self._run(lifecycle.in_trash(until=until), count, total, until, options)
        if refused:
            raise CommandError(
                f"{refused} of the images cannot be scrubbed. The reasons are listed above."
            )

    def _due(self, ids: Iterable[str], until: datetime) -> Iterator[Image]:
        for image_id in dict.fromkeys(ids):
            image = Image.objects.filter(pk=image_id).first()
            if image is None:
                self.stderr.write(f"{image_id}: no such image")
            elif image.status != Status.PENDING_DELETE or image.deleted_at is None:
                self.stderr.write(f"{image_id}: is {image.status}, not in the trash")
            elif image.deleted_at > until:
                due_at = iso(lifecycle.scrub_at(image.deleted_at))
                self.stderr.write(
                    f"{image_id}: is due at {due_at}; use --now to scrub it now"
                )
            else:
                yield image

    def _run(
        self,
        due: Iterable[Image | lifecycle.Trashed],
        count: int,
        total: int,
        until: datetime,
        options: dict[str, Any],
    ) -> None:
        if options["dry_run"]:
            for image in due:
                self.stdout.write(image.id)
            self.stdout.write(
                f"{counted(count, 'image')} would be deleted permanently ({size(total)})."
            )
            return
        if options["now"] and count:
            confirm(
                f"{counted(count, 'image')} in the trash, {size(total)} of data, will be deleted "
                "permanently and cannot be restored.",
                options["yes"],
            )
        # Due removals are retried first: a removal that fails below was only just tried.
        removed = lifecycle.retry_due_objects()
        scrubbed, breaker = 0, CircuitBreaker()
        for image in progress(due, count):
            scrubbed += self._scrub(image.id, until, options["now"], breaker)
        self._sum_up(scrubbed, removed)

    def _scrub(
        self,
        image_id: str,
        until: datetime,
        now: bool,
        breaker: CircuitBreaker,
    ) -> bool:
        reason = "scrubbed by command" if now else "scrub time is over"
        try:
            actor = operator("command")
            lifecycle.scrub(image_id, actor, reason, until=until, breaker=breaker)
        except (errors.Conflict, errors.NotFound) as error:
            self.stderr.write(f"{image_id}: skipped: {error}")
            return False
        say(self.stdout, image_id)
        return True

    def _sum_up(self, scrubbed: int, removed: int) -> None:
        self.stdout.write(
            f"{counted(scrubbed, 'image')} deleted permanently, "
            f"{counted(removed, 'more object')} removed."
        )
        if waiting := lifecycle.overdue_count():
            self.stdout.write(
                f"{counted(waiting, 'object')} could not be removed from the store yet. The service "
                "retries. The reasons are in the log."
            )
