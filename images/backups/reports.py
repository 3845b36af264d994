"""The report of the last backup and the last verification, a row of the service's database.

The metrics of the service show its values.
"""

from __future__ import annotations

import logging
from typing import Any

from django.db import Error

from images import db, outages
from images.models import BackupReport

log = logging.getLogger(__name__)


def note(**facts: Any) -> None:
    """Save values in the report of backups, such as ``made_at``: columns of BackupReport.

    Does nothing on a machine without the service's database. A failure is only logged: the backup
    itself is complete.
    """
    if not db.exists():
        return
    try:
        BackupReport.objects.update_or_create(pk=1, defaults=facts)
    except Error as error:
        log.warning(
            "the service's metrics do not show this: the database in DATABASE_URL fails: %s",
            outages.reason(error),
        )
