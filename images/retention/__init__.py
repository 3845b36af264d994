"""Retention: policies that keep the newest images, and hide, deactivate and delete the others.

A preview shows what a run would do. A run stores its decisions, acts on the images one by one in a
job, and can be undone.
"""

from __future__ import annotations

from images.retention import acting, undoing

JOBS = (acting.JOB, undoing.JOB)
