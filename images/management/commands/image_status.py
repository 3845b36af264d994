from __future__ import annotations

import json
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterable, Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder

from images import errors
from images.access import INTERFACES, operator
from images.console import MOMENT, iso, moment
from images.models import Status, TransferStatus
from images.operations import manual_transitions, overview
from images.units import counted, size

Facts = dict[str, Any]


def count(text: str) -> int:
    """A whole number, not negative."""
    if not text.isdecimal() or len(text) > 9:
        raise ArgumentTypeError(f"{text!r} is not a whole number.")
    return int(text)


class Command(BaseCommand):
    help = (
        "Without an id: the whole catalogue at a glance. With ids: for each image its "
        "status, where it can go from there, its copies, the transfers that brought or "
        "bring its data, its last error and its history. With --to: move the images to "
        "another status, by the same verbs and rules as through the API; deleting, "
        "restoring and ending a transfer are such moves too. Exit code 1: an image is not "
        "there, or was not moved."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ids", nargs="*", metavar="ID", help="the image's id")
        parser.add_argument(
            "--to",
            choices=Status.values,
            metavar="STATUS",
            help="move the images to this status; needs --reason. From active to "
            "deactivated and back, to pending_delete (delete) and from there back (restore) "
            "or to deleted (scrub: its data is lost); from saving, uploading or importing to "
            "queued (ends the transfer)",
        )
        parser.add_argument("--reason", default="", help="goes into the history")
        parser.add_argument("--actor", help="history: only of this user id")
        parser.add_argument(
            "--interface",
            "--door",  # its name before; for one more release
            choices=INTERFACES,
            help="history: only events through this interface",
        )
        parser.add_argument(
            "--since", type=moment, metavar="T", help=f"history: since then: {MOMENT}"
        )
        parser.add_argument(
            "--until", type=moment, metavar="T", help="history: until then"
        )
        parser.add_argument(
            "--limit",
            type=count,
            default=20,
            metavar="N",
            help="history: at most so many events, the newest (default: 20)",
        )
        parser.add_argument("--json", action="store_true", help="for machines")

    def handle(self, *args: Any, **options: Any) -> None:
        ids = list(dict.fromkeys(options["ids"]))
        if options["to"]:
            self._move(ids, options["to"], options["reason"].strip())
        elif ids:
            self._show(ids, options)
        else:
            facts = overview.of_catalogue()
            self._print([_json(facts)] if options["json"] else _catalogue_lines(facts))

    def _move(self, ids: list[str], target: str, reason: str) -> None:
        if not ids:
            raise CommandError("Say which images: their ids.")
        if not reason:
            raise CommandError("Say why, with --reason: it goes into the history.")
        failed = 0
        for image_id in ids:
            try:
                manual_transitions.move_to(
                    image_id, target, operator("command"), reason
                )
            except errors.ImageError as error:
                failed += 1
                self.stderr.write(f"{image_id}: {error}")
            else:
                self.stdout.write(f"{image_id}: {target}")
        if failed:
            raise CommandError(f"{failed} of {len(ids)} were not moved.")

    def _show(self, ids: list[str], options: Facts) -> None:
        names = ("actor", "interface", "since", "until", "limit")
        shown = overview.History(**{name: options[name] for name in names})
        found, missing = [], 0
        for image_id in ids:
            facts = overview.of_image(image_id, shown)
            if facts is None:
                missing += 1
                self.stderr.write(f"{image_id}: no such image")
            elif options["json"]:
                found.append(facts)
            else:
                self._print(_image_lines(facts))
        if options["json"]:
            self._print([_json(found)])
        if missing:
            raise CommandError(f"{missing} of {len(ids)} are not in the catalogue.")

    def _print(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.stdout.write(line)


def _json(facts: object) -> str:
    return json.dumps(facts, cls=DjangoJSONEncoder, indent=2)


def _catalogue_lines(facts: Facts) -> Iterator[str]:
    for status, number in facts["images"].items():
        yield f"{status:15} {number}"
    if facts["purged"]:
        yield f"{'':15} ({facts['purged']} of the deleted are purged: only the id is left)"
    dead = facts["stuck"] - facts["ownerless"]
    yield f"stuck now       {facts['stuck']}" + (
        "  (image_reap ends their transfers)" if dead else ""
    )
    if facts["ownerless"]:
        yield (
            f"{'':15} of them {facts['ownerless']} without a transfer  "
            "(image_status ID --to queued ends that)"
        )
    yield f"failed in 24 h  {facts['failed_last_24h']}"
    if facts["damaged"]:
        yield f"damaged         {facts['damaged']}  (image_reconcile names their copies)"
    trash = facts["trash"]
    when = f", next scrub {iso(trash['next_scrub'])}" if trash["images"] else ""
    yield f"in the trash    {trash['images']} ({size(trash['bytes'])}){when}"
    for store, held in facts["stores"].items():
        yield f"store {store:9} {counted(held['objects'], 'object')}, {size(held['bytes'])}"
    waiting = facts["to_remove"]
    yield (
        f"to be removed   {counted(waiting['locations'], 'object')} of images, "
        f"{waiting['transfers']} of failed transfers"
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
        yield f"  scrubbed   at {iso(facts['scrub_at'])}, for good"
    moves = [f"{target} ({verb})" for target, verb in facts["moves"].items()]
    yield f"  --to       {', '.join(moves) or 'nowhere'}"
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
        line += f", bytes go after {iso(location['delete_after'])}"
    if location["delete_attempts"]:
        line += f", {location['delete_attempts']} attempts to remove them failed"
    if location["damage"]:
        line += f", damaged: {location['damage']}"
    return line


def _transfer_line(transfer: Facts) -> str:
    line = (
        f"  transfer   {transfer['id']} {transfer['kind']} {transfer['status']}, "
        f"{_received(transfer)}, since {iso(transfer['started_at'])}"
    )
    if transfer["status"] == TransferStatus.WAITING:
        return f"{line}, until a worker fetches it"
    if transfer["status"] == TransferStatus.RUNNING:
        return f"{line}, last heard of {iso(transfer['heartbeat_at'])}"
    line += f", ended {iso(transfer['ended_at'])}"
    if transfer["error_code"]:
        line += f", {transfer['error_code']}: {transfer['error']}"
    if transfer["status"] == TransferStatus.FAILED and not transfer["cleaned"]:
        line += " Its bytes are not removed yet."
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
