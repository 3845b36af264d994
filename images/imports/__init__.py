"""Import methods: where a background worker fetches the data of an image from."""

from __future__ import annotations
