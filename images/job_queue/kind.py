"""The class of a kind of jobs, which has the function that carries out jobs of this kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from images.job_queue.handle import RunningJob


class JobKind(NamedTuple):
    """A kind of jobs, such as ``publication``, with the function ``run`` that carries a job out.

    ``run`` is called in a thread of a background worker, outside of any transaction. It returns the
    result of the job, which can be stored as JSON, or None. It must be possible to call it again
    for the same job: after the death of its worker the job begins anew.
    """

    name: str  # at most 32 characters
    run: Callable[[RunningJob], Mapping[str, object] | None]
    label: Any  # for the admin: a text, or a lazy translation
    unit: str = (
        ""  # of the progress, in the plural, such as "images"; at most 16 characters
    )
