"""``python -m tests.cluster``: races through HAProxy, rates of two services, failovers of the database.

Needs HAProxy, and for the failovers Patroni and etcd; ``--only races,rates`` does without those.
Exit code 1 when a figure breaks its limit.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import django

from tests.attack.figures import Figure, table
from tests.choices import some_of
from tests.cluster import dying, failover, rates

Part = Callable[[Path, random.Random, float], list[Figure]]
PARTS: dict[str, Part] = {
    "races": dying.measure,
    "rates": rates.measure,
    "failover": failover.through_haproxy,
    "hosts": failover.by_hosts,
    "hang": failover.after_a_hang,
}
# Only a watchdog, which the tool does not have, keeps a former primary that hung from confirming changes.
DEFAULT = [name for name in PARTS if name != "hang"]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="cluster", description=__doc__)
    add = parser.add_argument
    add("--only", type=some_of(PARTS), default=DEFAULT, help=",".join(PARTS))
    add("--seconds", type=float, default=40, help="of load in each part")
    add("--seed", type=int, default=random.randrange(1 << 32))
    return parser.parse_args()


def main() -> int:
    asked = options()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "imagecatalog.settings")
    django.setup()  # for the document with which answers are compared
    print(f"seed {asked.seed}", file=sys.stderr, flush=True)
    folder = Path(tempfile.mkdtemp(prefix="cluster-"))
    figures: list[Figure] = []
    is_kept = False
    try:
        for name in asked.only:
            (folder / name).mkdir()
            dice = random.Random(asked.seed)
            found = PARTS[name](folder / name, dice, asked.seconds)
            print(table(found), file=sys.stderr, flush=True)
            figures += found
        is_kept = all(figure.kept for figure in figures)
    finally:
        if is_kept:
            shutil.rmtree(folder)
        else:
            print(f"logs and data: {folder}", file=sys.stderr, flush=True)
    print(f"\n{table(figures)}")
    return 0 if is_kept else 1


if __name__ == "__main__":
    sys.exit(main())
