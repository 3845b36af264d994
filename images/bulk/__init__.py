"""Bulk changes: the same verb, such as ``delete``, or the same edit for many images.

A draft keeps the images that were selected, so that a preview can show what would change. Once the
draft is confirmed, a job changes one image after the other, and keeps a result for each.
"""

from __future__ import annotations

from images.bulk import acting

JOBS = (acting.JOB,)
