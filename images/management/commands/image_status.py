"""The command that shows the catalogue or some images, and changes the status of images."""

from __future__ import annotations

import json
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterable, Iterator
from typing import Any

from django.core.management.base import CommandError
from django.core.serializers.json import DjangoJSONEncoder

from images import errors
from images.access import INTERFACES, operator
from images.console import MOMENT, CatalogueCommand, iso, moment
from images.models import Status, TransferStatus
from images.operations import manual_transitions, overview
from images.text import printable
from images.units import counted, size

Facts = dict[str, Any]


def whole_number(text: str) -> int:
    """Parse an option's value: a whole number up to 999999999. Raises ArgumentTypeError otherwise."""
    if not text.isdecimal() or len(text) > 9:
        raise ArgumentTypeError(
            f"{text!r} is not a whole number of at least 0. Use for example 20."
        )
    return int(text)


class Command(CatalogueCommand):
    help = (
        "Without an id, show an overview of the catalogue. With ids, show for each image its "
        "status, the possible transitions, its locations, its transfers, its last error and "
        "its history. With --to, change the status of the images, with the same verbs and "
        "rules as the API; this includes deleting, restoring and ending a transfer. Exit code "
        "1: an image does not exist, or its status was not changed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ids", nargs="*", metavar="ID", help="the id of an image")
        parser.add_argument(
            "--to",
            choices=Status.values,
            metavar="STATUS",
            help="change the images to this status; needs --reason. From active to "
            "deactivated (deactivate) or back (reactivate); to pending_delete (delete); from "
            "pending_delete to the previous status (restore) or to deleted (scrub: the data "
            "is deleted permanently); from saving, uploading or importing to queued (ends the "
            "transfer)",
        )
        parser.add_argument(
            "--reason", default="", help="reason, recorded in the history"
        )
        parser.add_argument("--actor", help="history: only events of this user id")
        parser.add_argument(
            "--interface",
            "--door",  # the old name, accepted for one more release
            choices=INTERFACES,
            help="history: only events through this interface",
        )
        parser.add_argument(
            "--since", type=moment, metavar="T", help=f"history: since T: {MOMENT}"
        )
        parser.add_argument(
            "--until", type=moment, metavar="T", help="history: until T"
        )
        parser.add_argument(
            "--limit",
            type=whole_number,
            default=20,
            metavar="N",
            help="history: only the newest N events (default: 20)",
        )
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        ids = list(dict.fromkeys(options["ids"]))
        if options["to"]:
            self._change_status(ids, options["to"], options["reason"].strip())
        elif ids:
            self._show(ids, options)
        else:
            facts = overview.catalogue_overview()
            self._print([_json(facts)] if options["json"] else _catalogue_lines(facts))

    def _change_status(self, ids: list[str], target: str, reason: str) -> None:
        if not ids:
            raise CommandError("No image is named. Give image ids.")
        if not reason:
            raise CommandError(
                "A reason is missing. Give --reason, which is recorded in the history."
            )
        failed = 0
        for image_id in ids:
            try:
                manual_transitions.transition_to(
                    image_id, target, operator("command"), reason
                )
            except errors.ImageError as error:
                failed += 1
                self.stderr.write(f"{image_id}: {error.for_operator()}")
            else:
                self.stdout.write(f"{image_id}: {target}")
        if failed:
            raise CommandError(
                f"{failed} of {counted(len(ids), 'image')} not changed. "
                "The reasons are listed above."
            )

    def _show(self, ids: list[str], options: Facts) -> None:
        names = ("actor", "interface", "since", "until", "limit")
        events = overview.History(**{name: options[name] for name in names})
        documents, missing = [], 0
        for image_id in ids:
            facts = overview.image_overview(image_id, events)
            if facts is None:
                missing += 1
                self.stderr.write(f"{image_id}: no such image")
            elif options["json"]:
                documents.append(facts)
            else:
                self._print(map(printable, _image_lines(facts)))
        if options["json"]:
            self._print([_json(documents)])
        if missing:
            raise CommandError(
                f"{missing} of {counted(len(ids), 'image')} not in the catalogue. Check the ids."
            )

    def _print(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.stdout.write(line)


def _json(facts: object) -> str:
    return json.dumps(facts, cls=DjangoJSONEncoder, indent=2)


def _catalogue_lines(facts: Facts) -> Iterator[str]:
    if paused := facts["paused"]:
        yield f"workers paused  since {iso(paused['since'])}: {paused['reason']}"
        yield f"{'':15} (worker_resume ends the pause)"
    for status, number in facts["images"].items():
        yield f"{status:15} {number}"
    if facts["purged"]:
        yield f"{'':15} ({facts['purged']} deleted images are purged: only the id is left)"
    dead = facts["stuck"] - facts["ownerless"]
    yield f"stuck now       {facts['stuck']}" + (
        "  (image_reap ends their transfers)" if dead else ""
    )
    if facts["ownerless"]:
        yield (
            f"{'':15} {facts['ownerless']} of them without a transfer  "
            "(image_status ID --to queued releases them)"
        )
    yield f"failed in 24 h  {facts['failed_last_24h']}"
    if facts["damaged"]:
        yield f"damaged         {facts['damaged']}  (image_reconcile lists the locations)"
    trash = facts["trash"]
    when = f", next scrub {iso(trash['next_scrub'])}" if trash["images"] else ""
    yield f"in the trash    {trash['images']} ({size(trash['bytes'])}){when}"
    for store, total in facts["stores"].items():
        yield (
            f"store {store:9} {counted(total['objects'], 'object')}, "
            f"{size(total['bytes'])}"
        )
    waiting = facts["to_remove"]
    yield (
        f"to be removed   {counted(waiting['locations'], 'object')} of images, "
        f"{waiting['transfers']} of transfers"
    )


def _image_lines(facts: Facts) -> Iterator[str]:
    yield f"{facts['id']} {facts['status']}"
    if facts["purged"]:
        yield f"  purged: only the id is left; deleted {iso(facts['deleted_at'])}"
        return
    yield f"  name       {facts['name'] or '-'}"
    yield f"  owner      {facts['owner'] or '-'} ({facts['visibility']})"
    formats = f"{facts['disk_format'] or '-'}/{facts['container_format'] or '-'}"
    yield f"  data       {size(facts['size'])}, {formats}"
    yield f"  created    {iso(facts['created_at'])}, changed {iso(facts['updated_at'])}"
    if facts["protected"]:
        yield "  protected  cannot be deleted"
    if facts["deleted_at"]:
        yield f"  deleted    {iso(facts['deleted_at'])}"
    if facts["scrub_at"]:
        yield f"  scrubbed   at {iso(facts['scrub_at'])} (deleted permanently)"
    transitions = [f"{target} ({verb})" for target, verb in facts["moves"].items()]
    yield f"  --to       {', '.join(transitions) or 'no status'}"
    if facts["elsewhere"]:
        yield f"  otherwise  {', '.join(facts['elsewhere'])}"
    yield from map(_location_line, facts["locations"])
    yield from map(_transfer_line, facts["transfers"])
    if error := facts["last_error"]:
        yield (
            f"  error      {iso(error['at'])} {error['code']}: {error['error']} "
            f"(request {error['request_id'] or '-'})"
        )
    yield from map(_event_line, facts["history"])


def _location_line(location: Facts) -> str:
    line = f"  location   {location['store']} {location['key']} {location['status']}"
    if location["delete_after"]:
        line += f", data is removed after {iso(location['delete_after'])}"
    if location["delete_attempts"]:
        attempts = counted(location["delete_attempts"], "attempt")
        line += f", {attempts} to remove the data failed"
    if location["damage"]:
        line += f", damaged: {location['damage']}"
    return line


def _transfer_line(transfer: Facts) -> str:
    line = (
        f"  transfer   {transfer['id']} {transfer['kind']} {transfer['status']}, "
        f"{_received(transfer)}, since {iso(transfer['started_at'])}"
    )
    if transfer["status"] == TransferStatus.WAITING:
        return f"{line}, not yet claimed by a background worker"
    if transfer["status"] == TransferStatus.RUNNING:
        return f"{line}, last heartbeat {iso(transfer['heartbeat_at'])}"
    line += f", ended {iso(transfer['ended_at'])}"
    if transfer["error_code"]:
        line += f", {transfer['error_code']}: {transfer['error']}"
    if transfer["status"] == TransferStatus.FAILED and not transfer["cleaned"]:
        line += ". Its data is not removed yet."
    return line


def _received(transfer: Facts) -> str:
    received, expected = transfer["bytes_received"], transfer["bytes_expected"]
    if not expected:
        return size(received)
    return f"{size(received)} of {size(expected)} ({100 * received // expected} %)"


def _event_line(event: Facts) -> str:
    line = (
        f"  event      {iso(event['at'])} {event['verb']}: "
        f"{event['from_status'] or 'new'} -> {event['to_status']}"
        f" by {event['actor'] or '-'} ({event['interface']})"
    )
    return f"{line}: {event['reason']}" if event["reason"] else line
