"""Backups: creation, verification and restore.

A backup has the database, the secret key and, if wanted, the stored objects. It is made while the
service works, and restores the catalogue of one moment.
"""

from __future__ import annotations


class BackupError(Exception):
    """The error for a backup that cannot be made, read or restored; the message says what to do."""


class NoBackup(BackupError):
    """The error for a path or URL under which there is no backup."""


class DamagedBackup(BackupError):
    """The error for a backup that is damaged, or whose database cannot be restored."""
