"""For operators: consistency checks and repair, purge, manual transitions, the overview."""

from __future__ import annotations
