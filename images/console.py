"""Helpers for management commands: base class, argument types, questions, progress, errors, signals."""

from __future__ import annotations

import json
import re
import signal
import sys
import threading
from argparse import (
    ArgumentParser,
    ArgumentTypeError,
    RawDescriptionHelpFormatter,
)
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from django.core.management.base import (
    BaseCommand,
    CommandError,
    DjangoHelpFormatter,
    OutputWrapper,
)
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from tqdm import tqdm

from images import errors, logs, units
from images.text import printable, printable_lines

T = TypeVar("T")

CONFIGURATION = "configuration"  # the tag of the system checks of the settings
OLDEST = timedelta(days=36_500)  # dates begin with the year 1
LATER = "'12h' or '90d' (units: s, m, h, d, w)"
MOMENT = "'2h' or '3d' ago (units: s, m, h, d, w), or a time such as 2026-11-23T14:00"


class SafeOutput(OutputWrapper):
    """An output stream that escapes control characters in texts.

    Names that users have given can contain some.
    """

    def write(  # type: ignore[override]
        self,
        msg: str = "",
        style_func: Callable[[str], str] | None = None,
        ending: str | None = None,
    ) -> None:
        """Write a text, with its control characters escaped unless ``style_func`` is given.

        Raises SystemExit, as a signal does, if the reader of the output has closed the pipe.
        """
        safe = msg if style_func else printable_lines(msg)
        try:
            super().write(safe, style_func, ending)
        except BrokenPipeError:  # commands would take it for an error of a file
            sys.exit(128 + signal.SIGPIPE)


class EpilogFormatter(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """A formatter of help texts that keeps the line breaks of the epilog.

    The options that all commands have are listed last, as by Django's own formatter.
    """


class CatalogueCommand(BaseCommand):
    """The base class of the catalogue's management commands.

    It escapes control characters in the output, and adds ``interface=command`` to log lines.
    """

    # Django's own checks examine the code, and load all of the web interface for that.
    requires_system_checks: list[str] = [CONFIGURATION]
    as_json = False

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command with its options, and return its output, if any (called by Django).

        Control characters are escaped in what the command prints.
        """
        logs.bind(logs.Context(interface="command"))
        self.stdout = _safe(options.pop("stdout", None) or self.stdout)
        self.stderr = _safe(options.pop("stderr", None) or self.stderr)
        self.as_json = options.get("json", False)
        return super().execute(*args, **options)

    def add_json_option(self, parser: ArgumentParser) -> None:
        """Add the option ``--json`` to the parser; it makes ``write_row`` write JSON objects."""
        parser.add_argument(
            "--json",
            action="store_true",
            help="print a JSON object for each line, and no summary",
        )

    def add_yes_option(self, parser: ArgumentParser) -> None:
        """Add the option ``--yes`` to the parser; a command passes its value to ``confirm``."""
        parser.add_argument(
            "--yes", action="store_true", help="do not ask for confirmation"
        )

    def write_row(self, line: str, **facts: object) -> None:
        """Write a line of a list; with --json, write the facts as a JSON object instead."""
        say(
            self.stdout,
            json.dumps(facts, cls=DjangoJSONEncoder) if self.as_json else line,
        )

    def write_summary(self, line: str) -> None:
        """Write a line that summarises a list; with --json, write nothing."""
        if not self.as_json:
            self.stdout.write(line)


def _safe(out: Any) -> SafeOutput:
    safe = SafeOutput(out)
    if isinstance(out, OutputWrapper):
        # The text is escaped, but not the colours around it.
        safe.style_func, out.style_func = out.style_func, None
        out.ending = ""
    return safe


def positive_integer(text: str) -> int:
    """Convert an argument to a whole number from 1 to 999999999 (an argparse type)."""
    if not text.isdecimal() or len(text) > 9 or not int(text):
        raise ArgumentTypeError(
            f"{text!r} is not a whole number of at least 1. Use for example 10."
        )
    return int(text)


def file_mode(text: str) -> int:
    """Convert the permissions of a file in octal digits, such as 660, to a number (an argparse type)."""
    if not re.fullmatch("0?[0-7]{3}", text):
        raise ArgumentTypeError(
            f"{text!r} is not a mode of a file. Use for example 660."
        )
    return int(text, 8)


def age(text: str) -> timedelta:
    """Convert an argument, a number of days or a duration such as ``12h``, to a time span.

    An argparse type. The span can be at most 36500 days.
    """
    span = _span(text, "d")
    if span is None or span > OLDEST:
        raise ArgumentTypeError(
            f"{text!r} is not a number of days from 0 to 36500, or a duration. Use for example "
            "30 or 12h."
        )
    return span


def seconds(text: str) -> float:
    """Convert an argument, a number of seconds or a duration such as ``5m``, to seconds.

    An argparse type. The result is above 0.
    """
    span = _span(text, "s")
    if not span:
        raise ArgumentTypeError(
            f"{text!r} is not a number of seconds above 0, or a duration. Use for example 10 or "
            "5m."
        )
    return span.total_seconds()


def rate(text: str) -> int:
    """Convert an argument, a rate in MiB per second, to bytes per second.

    An argparse type. A text such as ``1.5GiB`` is an amount per second. The rate must be above 0.
    """
    try:
        number = units.parse_size(f"{text}M" if text[-1:].isdigit() else text)
    except ValueError:
        number = 0
    if not number:
        raise ArgumentTypeError(
            f"{text!r} is not a rate above 0. Use for example 50 (MiB per second) or 1.5GiB."
        )
    return number


def later(text: str) -> datetime:
    """Convert an argument, a duration such as ``12h``, to the time that far in the future.

    An argparse type.
    """
    try:
        if span := _span(text):
            return timezone.now() + span
    except OverflowError:
        pass  # beyond the year 9999
    raise ArgumentTypeError(f"{text!r} is not a duration. Use for example {LATER}.")


def moment(text: str) -> datetime:
    """Convert an argument to a time: a time in ISO 8601 (by default in UTC), or ``2h`` for 2 hours ago.

    An argparse type.
    """
    text = text.strip()
    try:
        if span := _span(text):
            return timezone.now() - span
        day = f"{text}T00:00" if len(text) == len("2026-11-23") else text
        at = parse_datetime(day)
    except (ValueError, OverflowError):
        at = None
    if at is None:
        raise ArgumentTypeError(f"{text!r} is not a time. Use for example {MOMENT}.")
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _span(text: str, unit: str = "") -> timedelta | None:
    try:
        return timedelta(seconds=units.parse_duration(text, unit))
    except (ValueError, OverflowError):
        return None


def iso(at: datetime | None) -> str:
    """Return a time in ISO 8601 for output, in UTC and without fractions of a second; ``-`` for None."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if at else "-"


def progress(
    items: Iterable[T], total: int | None, unit: str = " images"
) -> Iterable[T]:
    """Return the items in an iterable that shows a progress bar while it is read.

    ``total`` is the number of items; without it the bar shows only a count. ``unit`` is the label
    of the count. There is no bar unless standard error is a terminal.
    """
    return tqdm(items, total=total, unit=unit, disable=None, leave=False)


def watched(
    blocks: Iterator[bytes], size: int | None = None, *, what: str
) -> Iterator[bytes]:
    """Yield the blocks, and show a progress bar if standard error is a terminal.

    ``size`` is the number of bytes of all blocks, or None if it is unknown; ``what`` is the label
    of the bar.
    """
    with watching(what, size) as watch:
        yield from watch(blocks)


@contextmanager
def watching(
    what: str, size: int | None
) -> Iterator[Callable[[Iterable[bytes]], Iterator[bytes]]]:
    """A context manager that shows a progress bar, and yields a function to pass blocks through.

    The function yields the blocks that it is given; the bar counts the bytes of all its calls.
    ``size`` is the number of bytes of all blocks, or None if it is unknown; ``what`` is the label
    of the bar.
    """
    bar = tqdm(
        desc=printable(what[:40]),
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
    """Write a line of output, without damaging a progress bar on the same terminal."""
    with tqdm.external_write_mode(file=sys.stdout):
        out.write(printable(line))


@contextmanager
def command_errors() -> Generator[None, None, None]:
    """A context manager that turns the errors of the service into CommandErrors, for operators."""
    try:
        yield
    except errors.ImageError as error:
        raise CommandError(error.for_operator()) from error


def confirm(question: str, yes: bool) -> None:
    """Ask the operator on the terminal to confirm. Raises CommandError for any answer but 'yes'.

    Does not ask if ``yes`` is true, or if standard input is not a terminal, as in a script.
    """
    if yes or not sys.stdin.isatty():
        return
    if input(f"{question} Type 'yes' to go on: ").strip().lower() != "yes":
        raise CommandError("Nothing was changed.")


@contextmanager
def tidy_end() -> Generator[None, None, None]:
    """A context manager that makes SIGTERM and SIGINT raise SystemExit, so that work is cleaned up.

    Does nothing outside of the main thread.
    """
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
