"""HTTP code that all interfaces share: bodies, ranges, streaming, responses, errors."""

from __future__ import annotations
