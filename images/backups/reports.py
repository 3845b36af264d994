"""Reports of backups and their verifications in the service's database, for monitoring."""

from __future__ import annotations

import logging
from typing import Any

from django.db import Error

from images import db, outages
from images.models import BackupReport

log = logging.getLogger(__name__)


def note(**facts: Any) -> None:
    """Note facts in the report. A machine without the service's database notes nothing.

    A failure is logged: it does not make a backup worse.
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
