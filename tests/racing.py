"""Many processes move the same few images at once: ``python -m tests.racing TRANSITIONS [SECONDS]``.

Works on the database and the stores of the environment. Says how many transitions were made in
that time (an hour, if none is given); afterwards the audit must find nothing.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import django

django.setup()

from images import errors, lifecycle  # noqa: E402
from images.access import Caller, implied  # noqa: E402
from images.models import READABLE_STATUSES, Event, Image  # noqa: E402
from images.operations import consistency  # noqa: E402
from tests.locations import remove_first  # noqa: E402

PROCESSES = 8
IMAGES = 12
ENOUGH = 200  # refusals in a row: nearly all images are deleted for good
DATA = b"the bytes that never change"
BY = Caller("racer", "project-of-racers", implied("admin"), interface="test")


def trash(image_id: str) -> None:
    """Delete what can be restored: with all images deleted for good the race would end."""
    if Image.objects.get(pk=image_id).status not in READABLE_STATUSES:
        raise errors.Conflict("not now")
    lifecycle.delete(image_id, BY)


VERBS: dict[str, Callable[[str], None]] = {
    "upload": lambda image_id: lifecycle.upload(image_id, [DATA], BY),
    "deactivate": lambda image_id: lifecycle.deactivate(image_id, BY),
    "reactivate": lambda image_id: lifecycle.reactivate(image_id, BY),
    "remove_location": lambda image_id: remove_first(image_id, BY),
    "delete": lambda image_id: trash(image_id),
    "restore": lambda image_id: lifecycle.restore(image_id, BY),
}
REFUSED = (errors.Conflict, errors.Forbidden, errors.NotFound, errors.Gone)


def race(seed: int, image_ids: list[str], until: float, wanted: int) -> Counter[str]:
    """Verbs at random until so many are done, or the images can do no more; what came of them."""
    choose = random.Random(seed)
    outcome: Counter[str] = Counter()
    in_vain = 0
    while time.monotonic() < until and outcome["done"] < wanted and in_vain < ENOUGH:
        verb, image_id = choose.choice([*VERBS]), choose.choice(image_ids)
        try:
            VERBS[verb](image_id)
        except REFUSED:
            outcome["refused"] += 1
            in_vain += 1
        else:
            outcome["done"] += 1
            in_vain = 0
    return outcome


def run(transitions: int, seconds: float) -> Counter[str]:
    """Race until so many events are in the log, or the time is over."""
    formats = {"disk_format": "raw", "container_format": "bare", "owner": BY.project}
    until = time.monotonic() + seconds
    outcome: Counter[str] = Counter()
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.racing"])
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        while time.monotonic() < until and moves() < transitions:
            image_ids = [
                lifecycle.create(formats, {}, [], BY).pk for _ in range(IMAGES)
            ]
            share = min(max((transitions - moves()) // PROCESSES // 2, 10), 200)
            seeds = [random.randrange(2**32) for _ in range(PROCESSES)]
            jobs = [pool.submit(race, seed, image_ids, until, share) for seed in seeds]
            for job in jobs:
                outcome.update(job.result())
    return outcome


def moves() -> int:
    """Steps from one status to another in the event log."""
    return Event.objects.exclude(from_status="").count()


def main() -> None:
    transitions, seconds = int(sys.argv[1]), float((*sys.argv[2:], "3600")[0])
    outcome = run(transitions, seconds)
    wrong = list(consistency.check(read_bytes=True))
    for finding in wrong:
        print(finding)
    print(
        f"{moves()} transitions by {PROCESSES} processes on {IMAGES} images, "
        f"{outcome['refused']} refused, {len(wrong)} findings"
    )
    sys.exit(bool(wrong) or moves() < transitions)


if __name__ == "__main__":
    main()
