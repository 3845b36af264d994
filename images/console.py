"""What the commands share at the terminal: kinds of arguments, questions, progress bars, result lines,
and an orderly end."""

from __future__ import annotations

import math
import re
import signal
import sys
import threading
from argparse import ArgumentTypeError
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from django.core.management.base import CommandError, OutputWrapper
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from tqdm import tqdm

T = TypeVar("T")

SPAN = re.compile(r"([0-9]{1,9})\s*([smhdw])")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}  # in seconds
LATER = "'12h', '90d' (also s, m, w)"
MOMENT = "'2h', '3d' (also s, m, w: so long ago), or a time like 2026-11-23T14:00"


def positive_integer(text: str) -> int:
    """Convert an argument to a whole number from 1 to 999999999. Raises ArgumentTypeError."""
    if not text.isdecimal() or len(text) > 9 or not int(text):
        raise ArgumentTypeError(
            f"{text!r} is not a whole number of at least 1. Use for example 10."
        )
    return int(text)


def positive(text: str) -> float:
    """For argparse: a number above 0."""
    number = _number(text)
    if not 0 < number < math.inf:
        raise ArgumentTypeError(f"{text!r} is no number above 0.")
    return number


def days(text: str) -> float:
    """For argparse: a time in days, not negative; may have a fraction."""
    number = _number(text)
    if not 0 <= number <= 36_500:
        raise ArgumentTypeError(f"{text!r} is no number of days from 0 to 36500.")
    return number


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def later(text: str) -> datetime:
    """For argparse: so long from now."""
    try:
        if span := _span(text):
            return timezone.now() + span
    except OverflowError:
        pass  # beyond the year 9999
    raise ArgumentTypeError(f"{text!r} is no time; give {LATER}.")


def moment(text: str) -> datetime:
    """A point in time: how long ago, or ISO 8601, in UTC unless it says otherwise."""
    text = text.strip()
    try:
        if span := _span(text):
            return timezone.now() - span
        day = f"{text}T00:00" if len(text) == len("2026-11-23") else text
        found = parse_datetime(day)
    except (ValueError, OverflowError):
        found = None
    if found is None:
        raise ArgumentTypeError(f"{text!r} is no time; give {MOMENT}.")
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _span(text: str) -> timedelta | None:
    found = SPAN.fullmatch(text.strip())
    return found and timedelta(seconds=int(found[1]) * UNITS[found[2]])


def iso(at: datetime | None) -> str:
    """To the second, in UTC, for output."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if at else "-"


def progress(
    items: Iterable[T], total: int | None, unit: str = " images"
) -> Iterable[T]:
    """The same items, with a bar on standard error when that is a terminal.

    Where nobody knows the ``total``, the bar counts.
    """
    return tqdm(items, total=total, unit=unit, disable=None, leave=False)


def watched(
    blocks: Iterator[bytes], size: int | None = None, *, what: str
) -> Iterator[bytes]:
    """The same blocks, with a progress bar on stderr if that is a terminal. ``size``: bytes."""
    with watching(what, size) as watch:
        yield from watch(blocks)


@contextmanager
def watching(
    what: str, size: int | None
) -> Iterator[Callable[[Iterable[bytes]], Iterator[bytes]]]:
    """The same with one bar for many streams of blocks, which have ``size`` bytes together."""
    bar = tqdm(
        desc=what[:40],
        total=size,
        unit="B",
        unit_scale=True,
        unit_divisor=1024,
        leave=False,
        disable=None,
    )

    def watch(blocks: Iterable[bytes]) -> Iterator[bytes]:
        for block in blocks:
            yield block
            bar.update(len(block))

    with bar:
        yield watch


def say(out: OutputWrapper, line: str) -> None:
    """A line of output that does not tear a progress bar on the same terminal."""
    with tqdm.external_write_mode(file=sys.stdout):
        out.write(line)


def shown(text: str) -> str:
    """A name in one line that every terminal survives."""
    return "".join(
        it if it.isprintable() else it.encode("unicode_escape").decode() for it in text
    )


def confirm(question: str, yes: bool) -> None:
    """Ask on a terminal, unless ``--yes``; a script has decided. Raises CommandError: no."""
    if yes or not sys.stdin.isatty():
        return
    if input(f"{question} Type 'yes' to go on: ").strip().lower() != "yes":
        raise CommandError("Nothing was changed.")


@contextmanager
def tidy_end() -> Generator[None, None, None]:
    """SIGTERM and SIGINT end the command as an error would: what was begun is cleaned away."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGTERM, signal.SIGINT)
    before = {
        number: signal.signal(number, lambda got, _: sys.exit(128 + got))
        for number in signals
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
