"""Import methods: how a background worker fetches an image's data."""

from __future__ import annotations
