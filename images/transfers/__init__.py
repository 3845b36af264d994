"""Transfers: attempts to bring data into an image, from their beginning to their clean-up."""

from __future__ import annotations
