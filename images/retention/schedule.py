"""The schedule of a policy: cron text, in UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from cronsim import CronSim, CronSimError

from images import attributes
from images.errors import Invalid

MAX_LENGTH: Final = 100  # characters
FIELDS: Final = 5


def clean(value: object) -> str:
    """Return a schedule, or the empty text for none. Raises Invalid for text that is no schedule."""
    text = " ".join(attributes.clean_text(value, "schedule", MAX_LENGTH).split())
    if not text:
        return text
    if len(text.split()) != FIELDS:  # six would begin with seconds
        raise Invalid(
            "Invalid schedule: it must have five fields: minute, hour, day of the month, month and "
            "day of the week, such as 30 3 * * *."
        )
    try:
        next(CronSim(text, datetime(2000, 1, 1)))
    except CronSimError as error:
        raise Invalid(f"Invalid schedule: {error}.") from None
    except StopIteration:
        raise Invalid("Invalid schedule: there is no such day.") from None
    return text


def next_time(text: str, now: datetime) -> datetime | None:
    """Return the first time of a schedule after ``now`` (in UTC); None without a schedule."""
    return next(CronSim(text, now)) if text else None
