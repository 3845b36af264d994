"""Answers that clients have got, with their times, and the limits that all of them must keep."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests

from tests.attack.figures import Figure
from tests.servers import Service
from tests.wire.api import Api

BROKEN = 0  # instead of a status code
# A statement may take 5 s, and with a host that hangs the next connection takes 2 s; the answer may
# also wait for a processor.
LONGEST = 8.5  # s


@dataclass(frozen=True)
class Answer:
    """The end of a request (monotonic seconds), how long it took, status, Retry-After, and what it was."""

    at: float
    seconds: float
    status: int
    retry_after: str
    what: str

    @property
    def began(self) -> float:
        return self.at - self.seconds


class Answers(list[Answer]):
    """A list of the answers to all sessions that are watched. Any thread may add to it."""

    def session(self, service: Service, kind: type[Api] = Api) -> Api:
        """A session that is watched."""
        api = kind(service)
        self.watch(api)
        return api

    def watch(self, session: requests.Session) -> None:
        """Note each answer to the session.

        One of HAProxy itself about a service that has died breaks the connection for the client.
        """
        session.hooks["response"].append(self._note)

    def _note(self, response: requests.Response, **options: Any) -> None:
        seconds = response.elapsed.total_seconds()
        retry = response.headers.get("Retry-After", "")
        what = f"{response.request.method} {response.url}"
        code = response.status_code
        self.append(Answer(time.monotonic(), seconds, code, retry, what))
        if code == 502:
            raise requests.ConnectionError("the service has died")

    @contextmanager
    def going_on(self, session: requests.Session) -> Iterator[None]:
        """Note a request without an answer, and go on with another connection."""
        began = time.monotonic()
        try:
            yield
        except requests.RequestException as error:
            now, what = time.monotonic(), type(error).__name__
            self.append(Answer(now, now - began, BROKEN, "", what))
            session.close()

    def first(self, status: int, after: float) -> float:
        """When the first such answer to a request that began then ended; infinity without one."""
        ends = [it.at for it in self if it.status == status and it.began >= after]
        return min(ends, default=float("inf"))

    def counts(self) -> str:
        """How many of each status."""
        counts = sorted(Counter(it.status for it in self).items())
        return ", ".join(f"{number} {status or 'broken'}" for status, number in counts)


def judged(name: str, answers: Sequence[Answer]) -> list[Figure]:
    """Compare answers with the limits that hold whatever has happened to services and database."""
    wrong = [it for it in answers if it.status >= 500 and it.status not in (502, 503)]
    bare = [it for it in answers if it.status == 503 and not it.retry_after]
    # The time of an upload is that of its data.
    quick = [it for it in answers if it.status == 503 and not it.what.startswith("PUT")]
    longest = max((it.seconds for it in quick), default=0)
    return [
        Figure(f"{name}: 5xx but 503", len(wrong), 0, note=_examples(wrong)),
        Figure(f"{name}: 503 without Retry-After", len(bare), 0, note=_examples(bare)),
        Figure(f"{name}: longest wait for a 503", longest, LONGEST, "s"),
    ]


def _examples(answers: Sequence[Answer]) -> str:
    return "; ".join(f"{it.status} {it.what}" for it in answers[:3])


@contextmanager
def probing(front: Service, count: int = 4) -> Iterator[dict[int, Answers]]:
    """Clients that create an image (201) or list images (200) every tenth of a second, by status."""
    found = {200: Answers(), 201: Answers()}
    stop = threading.Event()
    threads = [
        threading.Thread(target=_probe, args=(front, status, found[status], stop))
        for status in [200, 201] * (count // 2)
    ]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _probe(
    front: Service, status: int, answers: Answers, stop: threading.Event
) -> None:
    method, path = ("GET", "images?limit=1") if status == 200 else ("POST", "images")
    body = None if status == 200 else {"name": "probe"}
    with answers.session(front) as api:
        while not stop.wait(0.1):
            with answers.going_on(api):
                api.request(method, path, json=body)
