"""Made-up images for the tests of decisions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from images.retention.decisions import Fact

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def days(number: float) -> timedelta:
    return timedelta(days=number)


def fact(name: str = "image", age: float = 0, **values: Any) -> Fact:
    """An active, visible image that was built ``age`` days before NOW."""
    built = NOW - days(age)
    made = Fact(
        image=name,
        name=name,
        status="active",
        built=built,
        age_key=(built, b"", built, name),
        updated_at=built,
    )
    return replace(made, **values)
