"""Verification of all stored data on a schedule, by the background workers.

The copy whose verification is oldest comes first. A worker holds a lease of the copy that it
reads, so that each copy has one worker, and another one takes over the copies of a dead worker. It
reads at a limited rate, and pauses while transfers wait for a worker, but not for ever.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Final, cast

from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from images import db, errors, process_metrics, stores
from images.access import operator
from images.duty import Duty
from images.models import (
    READABLE_STATUSES,
    ImageLocation,
    LocationStatus,
    Transfer,
    TransferStatus,
)
from images.operations import consistency, verification
from images.operations.consistency import Copy
from images.operations.consistency.data_checks import COLUMNS, Blocks
from images.stores.circuit_breaker import CircuitBreaker
from images.transfers import heartbeat

log = logging.getLogger(__name__)

PERIOD: Final = 10.0  # seconds
ROUND: Final = 600.0  # seconds after which no further copy is begun in a round
POLL: Final = 1.0  # seconds between two looks for waiting transfers
# Seconds that a pause for transfers lasts at most. A few slow ones can let others wait for days.
MOST_PAUSE: Final = 600.0
RETRY: Final = timedelta(hours=1)  # until a copy that could not be read is tried again
# Until a damaged copy is read again: an operator may have put the right data back.
DAMAGED_EVERY: Final = timedelta(days=1)
# When a copy was last verified. Data that was never verified was compared when it was stored.
SINCE: Final = Coalesce("verified_at", "created_at")

# Since when, on time.monotonic(), a transfer has waited at each look; None: none waits.
_waiting_since: float | None = None


def verify_due() -> None:
    """Verify the copies whose verification is due, oldest first, for about ten minutes.

    The round ends early when transfers wait for a worker, unless some have waited throughout the
    last ten minutes. A copy that cannot be read is tried again after an hour. A store that fails
    three times in a row is not asked again in this round.
    """
    until, breaker = time.monotonic() + ROUND, CircuitBreaker()
    while time.monotonic() < until and not _must_wait():
        claim = _next(breaker.open_stores())
        if claim is None:
            return
        claim.verify(breaker)


def oldest() -> datetime | None:
    """Return when the copy was verified whose verification is oldest; None if there is no copy.

    For a copy that was never verified, this is when it was stored.
    """
    return _copies().order_by(SINCE).values_list(SINCE, flat=True).first()


def interval() -> timedelta:
    """Return the time from one verification of a copy to the next; zero: there is no schedule."""
    return timedelta(seconds=settings.IMAGECATALOG_VERIFY_EVERY)


class Claim:
    """A copy that this worker verifies, and its lease of the copy."""

    def __init__(self, copy: Copy, until: datetime) -> None:
        """Take over a lease that ends at ``until`` and is saved in the location's row."""
        self._copy, self._until = copy, until
        self._renewal = time.monotonic() + heartbeat.interval()

    def verify(self, breaker: CircuitBreaker) -> None:
        """Verify the copy and save the result; ``breaker`` counts the failures of stores."""
        copy = self._copy
        try:
            verification.verify(copy, self._paced, operator("worker"))
        except errors.LeaseExpired as error:
            log.info("image %s, store %s: %s", copy.image_id, copy.store, error)
        except (errors.StoreError, errors.Invalid) as error:
            breaker.failed(copy.store)
            self._hold(timezone.now() + RETRY)
            # One line for each round, not for each copy in a store that fails.
            log.log(
                logging.WARNING if breaker.failures == 1 else logging.INFO,
                "the copy of image %s in store %s cannot be verified and is tried again in an hour",
                copy.image_id,
                copy.store,
                exc_info=error,
            )
        else:
            breaker.succeeded(copy.store)

    def _paced(self, blocks: Blocks) -> Iterator[bytes]:
        """Yield the blocks of the copy at the configured rate, with pauses while transfers wait.

        In a pause nothing is open; the copy is then read on from the same byte. Data at a URL is
        read without pauses, because not every web server sends a part of it. Raises LeaseExpired if
        another worker has taken over the copy, and the errors of the store.
        """
        rate = settings.IMAGECATALOG_VERIFY_RATE or math.inf
        store, opened = stores.get(self._copy.store), cast(stores.Blocks, blocks)
        position, look = 0, time.monotonic() + POLL
        try:
            while True:
                for block in consistency.rate_limited(opened, rate):
                    position += len(block)
                    process_metrics.count("verified_bytes_total", by=len(block))
                    yield block
                    self._renew()
                    if time.monotonic() > look:
                        look = time.monotonic() + POLL
                        if store is not stores.HTTP and _must_wait():
                            break
                else:
                    return
                opened.close()
                self._wait()
                opened = store.open(self._copy.key, position)
        finally:
            opened.close()

    def _wait(self) -> None:
        while _must_wait():
            time.sleep(POLL)
            self._renew()

    def _renew(self) -> None:
        if time.monotonic() < self._renewal:
            return
        if not self._hold(heartbeat.lease_end()):
            raise errors.LeaseExpired(
                "Another process has taken over the verification of this copy."
            )
        self._renewal = time.monotonic() + heartbeat.interval()

    def _hold(self, until: datetime) -> bool:
        """Let no worker claim the copy before ``until``; return False if this worker has lost its lease."""
        held = ImageLocation.objects.filter(
            pk=self._copy.location, verify_after=self._until
        )
        self._until = until
        return bool(held.update(verify_after=until))


def _next(unavailable: Collection[str]) -> Claim | None:
    """Claim and return the next copy that is due; None if there is none.

    Copies in the stores ``unavailable`` are left out.
    """
    for due in _due():
        left = due.exclude(store__in=unavailable) if unavailable else due
        while row := left.values("pk", *COLUMNS).first():
            until = heartbeat.lease_end()
            unclaimed = ImageLocation.objects.filter(_is_free(), pk=row["pk"])
            if unclaimed.update(verify_after=until):  # else another worker has it
                return Claim(Copy.of(row), until)
    return None


def _due() -> list[QuerySet[ImageLocation]]:
    """Return the copies whose verification is due, and the damaged ones that are to be read again."""
    now, every = timezone.now(), interval()
    free = _copies().filter(_is_free())
    damaged = free.exclude(damage="").filter(
        verified_at__lt=now - min(every, DAMAGED_EVERY)
    )
    return [
        free.alias(since=SINCE).filter(since__lt=now - every).order_by(SINCE, "pk"),
        damaged.order_by("verified_at", "pk"),
    ]


def _copies() -> QuerySet[ImageLocation]:
    return ImageLocation.objects.filter(
        status=LocationStatus.ACTIVE, image__status__in=READABLE_STATUSES
    )


def _is_free() -> Q:
    return Q(verify_after=None) | Q(verify_after__lt=timezone.now())


def _must_wait() -> bool:
    """Return whether verification must pause: transfers wait, or this hour is not an allowed one.

    Also True if there is no schedule. After transfers have waited for ten minutes, they are ignored
    until a call finds that none waits.
    """
    global _waiting_since
    if not interval() or not _is_allowed_hour(timezone.now().hour):
        return True
    waiting = Transfer.objects.filter(status=TransferStatus.WAITING).exists()
    db.release_connection()
    if not waiting:
        _waiting_since = None
        return False
    if _waiting_since is None:
        _waiting_since = time.monotonic()
    return time.monotonic() < _waiting_since + MOST_PAUSE


def _is_allowed_hour(hour: int) -> bool:
    start, stop = settings.IMAGECATALOG_VERIFY_HOURS
    if start < stop:
        return bool(start <= hour < stop)
    return bool(hour >= start or hour < stop)  # over midnight


DUTIES = (Duty("verify stored data", verify_due, PERIOD, may_block=True),)
