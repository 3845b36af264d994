"""Bulk changes: one verb, or one edit, for many images.

A draft keeps the images that were selected, so that a preview can show what would change. Once it
is confirmed, a job changes image by image, and each image gets a result.
"""

from __future__ import annotations

from images.bulk import acting

JOBS = (acting.JOB,)
