"""One attempt to bring bytes in: its lease, its heartbeat, its objects, and what ends it."""

from __future__ import annotations
