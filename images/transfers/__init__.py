"""Transfers: the lease, heartbeat, objects and end of one attempt to bring data in."""

from __future__ import annotations
