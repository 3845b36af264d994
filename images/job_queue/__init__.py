"""Jobs: request, carry out and cancel long work of the background workers.

A change requests a job in its own transaction. Any background worker carries it out, with a lease:
if the worker dies, another one takes the job up again.
"""

from __future__ import annotations

from images.job_queue.cancelling import cancel
from images.job_queue.handle import Cancelled, RunningJob
from images.job_queue.kind import JobKind
from images.job_queue.requesting import request

__all__ = ["Cancelled", "JobKind", "RunningJob", "cancel", "request"]
