"""``python -m tests.crash.judge``: a process on the same catalogue that does what commands do.

It stays, because a command takes longer to start than a round may take. Reads a JSON list
``[name, argument …]`` a line and answers with a line of JSON each. ``Judge`` is its other end.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
MOST = 6  # times the seconds in which something has to move


class Row(NamedTuple):
    """The columns of an image in the database."""

    status: str
    hash_value: str | None
    name: str | None


class Judge:
    """Any thread may ask it."""

    def __init__(self, env: Mapping[str, str], log: Path) -> None:
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.crash.judge"],
                cwd=ROOT,
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                start_new_session=True,
            )
        self._slot = threading.Lock()

    def close(self) -> None:
        self._process.communicate(timeout=30)

    def settle(self, seconds: float) -> list[list[str]]:
        """Reap until nothing is under way, and return what still is: [kind, image, words].

        Waits until nothing has moved for ``seconds``, and at most six times as long.
        """
        return self._ask("settle", seconds)

    def check(self) -> list[list[str]]:
        """The audit's findings, as [kind, image, words]."""
        return self._ask("check")

    def rows(self, ids: list[str]) -> dict[str, Row]:
        """Those that exist."""
        return {key: Row(*row) for key, row in self._ask("rows", *ids).items()}

    def command(self, *words: str) -> bool:
        """Run a management command; False when it says CommandError."""
        return self._ask("command", *words)

    def _ask(self, *question: object) -> Any:
        with self._slot:
            pipes = self._process.stdin, self._process.stdout
            assert pipes[0] is not None
            assert pipes[1] is not None
            pipes[0].write(json.dumps(question) + "\n")
            pipes[0].flush()
            answer = pipes[1].readline()
        assert answer, "the judge is dead; see its log"
        return json.loads(answer)


def main() -> None:
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import CommandError, call_command

    from images import cache, uploads
    from images.lifecycle.caching import tidy_cache
    from images.models import (
        TRANSIENT_STATUSES,
        Image,
        Transfer,
        TransferStatus,
        UploadChunk,
    )
    from images.operations import consistency
    from images.transfers import reaper

    def under_way() -> list[list[str]]:
        found = [
            ["stuck", pk, f"still {status}"]
            for pk, status in Image.objects.filter(
                status__in=TRANSIENT_STATUSES
            ).values_list("pk", "status")
        ]
        unclean = Transfer.objects.filter(status=TransferStatus.FAILED, cleaned=False)
        open_ = (TransferStatus.WAITING, TransferStatus.RUNNING)
        for transfer in Transfer.objects.filter(status__in=open_):
            found.append(["stuck", transfer.image_id, f"{transfer} has not ended"])
        for transfer in Transfer.objects.partly_unclean():
            found.append(["orphan-bytes", transfer.image_id, f"{transfer} not cleaned"])
        for chunk in UploadChunk.objects.select_related("transfer"):
            image_id = chunk.transfer.image_id
            found.append(["orphan-bytes", image_id, f"{chunk} not removed"])
        for transfer in unclean:
            found.append(["orphan-bytes", transfer.image_id, f"{transfer} not cleaned"])
        return found

    def settle(seconds: float) -> list[list[str]]:
        began = moved = time.monotonic()
        before = None
        while True:
            reaper.reap()
            uploads.finish_waiting()
            found, now = under_way(), time.monotonic()
            if (state := (found, progress())) != before:
                before, moved = state, now
            if not found or now - moved > seconds or now - began > MOST * seconds:
                return found
            time.sleep(0.1)

    def progress() -> list[tuple[object, ...]]:
        # On a busy machine a living import can take longer than a dead one needs to be found.
        living = Transfer.objects.filter(status=TransferStatus.RUNNING).order_by("pk")
        return list(living.values_list("pk", "heartbeat_at", "bytes_received"))

    def check() -> list[list[str]]:
        found = [
            [finding.kind, finding.image_id, f"{finding.message} {finding.key}".strip()]
            for finding in consistency.check(read_bytes=True)
        ]
        return [*found, *cache_wrongs()] if cache.is_on() else found

    def cache_wrongs() -> Iterator[list[str]]:
        tidy_cache()
        for part in ("parts", "uses", "data"):
            for path in Path(settings.IMAGECATALOG_CACHE_DIR, part).iterdir():
                image_id = path.name.partition(".")[0]
                image = Image.objects.filter(pk=image_id).first()
                if part == "parts" or not (image and image.os_hash_value):
                    yield ["orphan-bytes", image_id, f"{path} in the cache"]
                elif part == "data":
                    digest = hashlib.sha512(path.read_bytes()).hexdigest()
                    if digest != image.os_hash_value:
                        yield ["wrong-digest", image_id, f"{path} in the cache"]

    def rows(*ids: str) -> dict[str, list[str | None]]:
        found = Image.objects.filter(pk__in=ids)
        columns = found.values_list("pk", "status", "os_hash_value", "name")
        return {pk: rest for pk, *rest in columns}

    def command(*words: str) -> bool:
        try:
            call_command(*words, stdout=StringIO(), stderr=StringIO())
        except CommandError:
            return False
        return True

    can: dict[str, Callable[..., object]] = {
        "settle": settle,
        "check": check,
        "rows": rows,
        "command": command,
    }
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(can[name](*arguments)), flush=True)


if __name__ == "__main__":
    main()
