"""What others notice of connections that are slow on purpose, and what is left of those."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median

from tests.attack import victim
from tests.attack.figures import Figure
from tests.attack.lines import Attack, Plan
from tests.attack.target import Target

ALL = "all kinds"
QUIET = 8.0  # s of the measurement without attack
SHOW, CHECK, SHARE, GROWTH = 100, 1, 0.5, 256  # ms, s, of the speed, MiB


def measure(
    target: Target, kinds: Sequence[str], number: int, sources: int, seconds: float
) -> list[Figure]:
    """Hold so many connections of each kind, from so many addresses, for this time."""
    plan = Plan(target, sources)
    lines = [line for kind in kinds for line in plan.lines(kind, number)]
    before = victim.during(target.victim(), QUIET)
    memory = peak = target.memory()
    watch = victim.Watch(target.victim())
    attack = Attack(target.victim(), lines)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(1)
        peak = max(peak, target.memory())
    left = target.open_connections()
    report, seen = attack.end(), watch.end()
    plan.clean()
    name = f"{kinds[0] if len(kinds) == 1 else ALL}, {target.way}, {sources} source{'s' * (sources > 1)}"
    notes = _counted(report.answers), _counted(report.ended, report.refused)
    return [
        *seen_by_others(name, before, seen),
        Figure(f"{name}: left open", left, 0, note="; ".join(filter(None, notes))),
        Figure(f"{name}: memory", peak - memory, GROWTH, "MiB more"),
    ]


def seen_by_others(name: str, before: victim.Seen, during: victim.Seen) -> list[Figure]:
    """What one more client notices, compared with the time before."""
    figures = [
        Figure(f"{name}: show, p95", during.p95(), SHOW, "ms"),
        Figure(f"{name}: slowest health check", during.slowest_check(), CHECK, "s"),
    ]
    for what in ("uploads", "downloads"):
        usual, now = getattr(before, what), getattr(during, what)
        share = median(now) / median(usual) if now and usual else 0
        note = f"{median(now):.0f} MiB/s" if now else "none"
        figures.append(Figure(f"{name}: {what}", share, SHARE, "of before", True, note))
    failures = Counter(during.failures)
    note = _counted(failures)
    return [*figures, Figure(f"{name}: failures", failures.total(), 0, note=note)]


def _counted(*counts: Mapping[str, int]) -> str:
    return ", ".join(
        f"{number} {what}" for count in counts for what, number in sorted(count.items())
    )
