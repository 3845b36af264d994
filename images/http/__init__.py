"""HTTP for every interface: bodies, ranges, streaming, responses, errors. Uses no models."""

from __future__ import annotations
