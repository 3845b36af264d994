"""Backups: the database, the secret key and, if wanted, the objects; their verification and restore.

A backup is made while the service works. It restores the catalogue of one moment.
"""

from __future__ import annotations


class BackupError(Exception):
    """A backup cannot be made, read or restored; the message says what to do."""
