"""``python -m tests.crash --rounds 500``: kill the service over and over, and count what is wrong.

Exit code 1 when an image is stuck, acknowledged data is lost, bytes belong to nobody, or a
named point was never passed.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

import django

from tests.crash import rounds


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="crash", description=__doc__)
    add = parser.add_argument
    add("--rounds", type=int, default=500, help="in all, half of them on each backend")
    add("--backend", choices=rounds.BACKENDS, help="only this one")
    add("--minutes", type=float, default=30, help="the longest time for each backend")
    add("--seed", type=int, default=random.randrange(1 << 32))
    add("--keep", action="store_true", help="keep the folder with logs and data")
    return parser.parse_args()


def main() -> int:
    asked = options()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "imagecatalog.settings")
    django.setup()  # for the document with which answers are compared
    backends = [asked.backend] if asked.backend else list(rounds.BACKENDS)
    number = max(asked.rounds // len(backends), 1)
    print(f"seed {asked.seed}", flush=True)
    return max(_try(asked, backend, number) for backend in backends)


def _try(asked: argparse.Namespace, backend: str, number: int) -> int:
    folder = Path(tempfile.mkdtemp(prefix="crash-"))
    keep = True
    try:
        result = rounds.run(
            backend,
            folder,
            number,
            seconds=asked.minutes * 60,
            seed=asked.seed,
            say=_say,
        )
        keep = asked.keep or not rounds.is_fine(result)
    finally:
        if keep:
            print(f"\nlogs and data: {folder}", flush=True)
        else:
            shutil.rmtree(folder)
    return _report(result)


def _report(result: rounds.Result) -> int:
    never = result.never_hit()
    print(f"\n{rounds.table(result)}")
    for trouble in result.troubles:
        print(trouble)
    if never:
        print(f"Never passed: {', '.join(never)}")
    print(flush=True)
    return 0 if rounds.is_fine(result) and not never else 1


def _say(line: str) -> None:
    if sys.stdout.isatty():
        print(f"\r{line:<60}", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
