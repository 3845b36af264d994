"""Transfers: the parts of one attempt to store an image's data, from its begin to its end."""

from __future__ import annotations
