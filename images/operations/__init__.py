"""Operations for operators: consistency checks, repair, purge, manual transitions, overview."""

from __future__ import annotations
