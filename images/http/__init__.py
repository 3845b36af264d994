"""HTTP for every interface: bodies, ranges, streaming, responses, errors. Knows no models."""

from __future__ import annotations
