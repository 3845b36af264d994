"""Clients that work on the same things through several services, and what they lost.

Each race counts what it was told; ``wrongs`` compares that with what the services say at the end.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

import requests

from tests.cluster.answers import Answers
from tests.crash.clients import FORMATS, OFFSET_OCTETS
from tests.crash.ledger import Body
from tests.servers import Service
from tests.wire.api import PATCH, Api, CatalogApi

TUS = {"Tus-Resumable": "1.0.0"}
FAMILY, LABELS = "debian-13", ("20260101", "20260201", "20260301")
KIB = 1 << 10
AGAIN = 0.05  # s between two requests of a client
PATIENCE = 60  # s for an answer


class Ids:
    """All clients create an image with the same id at the same time, ten times a second."""

    clients = 4
    slots = 10  # a second

    def __init__(self, front: Service) -> None:
        self._front, self._seed = front, uuid4().hex
        self.created: dict[str, list[str]] = {}  # id -> the clients that were told so
        self.answers = Answers()

    def work(self, number: int, stop: threading.Event) -> None:
        with self.answers.session(self._front) as api:
            while not stop.is_set():
                slot = int(time.monotonic() * self.slots) + 1
                time.sleep(max(slot / self.slots - time.monotonic(), 0))
                self._create(
                    api, str(uuid5(NAMESPACE_URL, f"{self._seed}{slot}")), number
                )

    def _create(self, api: Api, image_id: str, number: int) -> None:
        document = FORMATS | {"id": image_id, "name": f"of {number}"}
        with self.answers.going_on(api):
            answer = api.post("images", json=document)
            if answer.status_code == 201:
                self.created.setdefault(image_id, []).append(document["name"])

    def wrongs(self) -> Iterator[str]:
        """Ids that were given twice, or whose image is missing or another client's."""
        with Api(self._front) as api:
            for image_id, names in self.created.items():
                found = api.get(f"images/{image_id}")
                name = found.json().get("name") if found.ok else found.status_code
                if names != [name]:
                    yield f"{image_id} was created by {names}, is {name}"


class Patches:
    """Each client changes its own property of one image, which all change."""

    clients = 6

    def __init__(self, front: Service) -> None:
        self._front = front
        with Api(front) as api:
            self._path = f"images/{api.new(name='patched')}"
        self.may: dict[str, set[str | None]] = {}  # the values of each property
        self.answers = Answers()

    def work(self, number: int, stop: threading.Event) -> None:
        name, value = f"p_{number}", 0
        self.may[name] = {None}
        with self.answers.session(self._front) as api:
            while not stop.wait(AGAIN):
                value += 1
                self._change(api, name, str(value))

    def _change(self, api: Api, name: str, value: str) -> None:
        change = [{"op": "add", "path": f"/{name}", "value": value}]
        before = self.may[name]
        self.may[name] = before | {value}
        with self.answers.going_on(api):
            answer = api.patch(self._path, json=change, headers=PATCH)
            if answer.ok:
                self.may[name] = {value}
            elif answer.status_code < 500:
                self.may[name] = before

    def wrongs(self) -> Iterator[str]:
        """Properties that do not have the value of the last change that was acknowledged."""
        with Api(self._front) as api:
            image = api.get(self._path).json()
        for name, may in self.may.items():
            if image.get(name) not in may:
                yield f"{name} is {image.get(name)}, may be {may}"


class Uploads:
    """Each chunk of a resumable upload goes to another service, and so does each download."""

    clients = 2
    chunk = 64 * KIB

    def __init__(self, services: Sequence[Service]) -> None:
        self._services = services
        self.complete: dict[str, bytes] = {}  # the data of what was uploaded
        self.answers = Answers()

    def work(self, number: int, stop: threading.Event) -> None:
        dice = random.Random(number)
        while not stop.is_set():
            made = self._ask("POST", "images", json=FORMATS)
            if made.ok:
                self._upload(made.json()["id"], dice.randbytes(4 * self.chunk))

    def _upload(self, image_id: str, data: bytes) -> None:
        head = {"Upload-Length": str(len(data))}
        path = f"images/{image_id}"
        begun = self._ask("POST", f"{path}/uploads", headers=TUS | head)
        upload = begun.headers.get("Location", "").partition("/v2/")[2]
        if upload and self._send(upload, data):
            self.complete[image_id] = data
        else:  # the answer of the first request may have been lost
            self._ask("DELETE", path)

    def _send(self, upload: str, data: bytes) -> bool:
        """Whether all of it was acknowledged."""
        offset = 0
        while offset < len(data):
            head = {"Upload-Offset": str(offset), "Content-Type": OFFSET_OCTETS} | TUS
            part = data[offset : offset + self.chunk]
            said = self._ask("PATCH", upload, headers=head, data=part)
            if said.status_code != 204:
                said = self._ask("HEAD", upload, headers=TUS)
            if not said.ok:
                return False
            offset = int(said.headers["Upload-Offset"])
        return True

    def _ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """The answer of one of the services, whichever is alive and has its database."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            api = self.answers.session(random.choice(self._services))
            with api, self.answers.going_on(api):
                answer = api.request(method, path, **options)
                if answer.status_code < 500:
                    return answer
            time.sleep(AGAIN)
        raise AssertionError(f"{method} {path}: no answer for {PATIENCE} s")

    def wrongs(self) -> Iterator[str]:
        """Images whose data is not what was acknowledged, at any service."""
        for service in self._services:
            with Api(service) as api:
                for image_id, data in self.complete.items():
                    # The last chunk may have come without its answer: then a worker does the rest.
                    status = reached(api, image_id, "active")
                    if status != "active" or api.data(image_id) != data:
                        yield f"{image_id} is {status} at {service.url}"


class SlowUploads:
    """Uploads that take many seconds; those that fail are repeated at the end."""

    clients = 6
    chunk, chunks = 64 * KIB, 60
    pause = 0.4  # s between two chunks

    def __init__(self, front: Service) -> None:
        self._front = front
        self.answers = Answers()
        self.sent: dict[str, bytes] = {}  # the data of each image
        self.complete: set[str] = set()

    def work(self, number: int, stop: threading.Event) -> None:
        dice = random.Random(number)
        with self.answers.session(self._front) as api:
            while not stop.wait(dice.uniform(0, 3)):
                with self.answers.going_on(api):
                    self._upload(api, dice, stop)

    def _upload(self, api: Api, dice: random.Random, stop: threading.Event) -> None:
        made = api.post("images", json=FORMATS)
        if not made.ok:
            return
        image_id = made.json()["id"]
        data = self.sent[image_id] = dice.randbytes(self.chunks * self.chunk)
        if api.upload(image_id, self._slowly(data, stop)).status_code == 204:
            self.complete.add(image_id)

    def _slowly(self, data: bytes, stop: threading.Event) -> Iterator[bytes]:
        for start in range(0, len(data), self.chunk):
            yield data[start : start + self.chunk]
            stop.wait(self.pause)

    def wrongs(self) -> Iterator[str]:
        """Images without the data that was acknowledged, or that take no other."""
        with Api(self._front) as api:
            for image_id, data in self.sent.items():
                status = reached(api, image_id, "active", "queued")
                if image_id not in self.complete and status == "queued":
                    status = self._repeated(api, image_id, data)
                if status != "active" or api.data(image_id) != data:
                    yield f"{image_id} is {status}"

    def _repeated(self, api: Api, image_id: str, data: bytes) -> str:
        """The status after another upload."""
        api.upload(image_id, data)
        return reached(api, image_id, "active")


class Promotions:
    """Four writers promote versions of one family, and eight readers list images by its name."""

    writers, readers = 4, 8
    clients = writers + readers

    def __init__(self, front: Service) -> None:
        self._front = front
        self.answers = Answers()
        self.lists: Counter[int] = Counter()  # by their number of images
        self.data: dict[str, bytes] = {}
        self._fill()

    def _fill(self) -> None:
        with Api(self._front) as api, CatalogApi(self._front) as catalog:
            family = {"name": FAMILY, "architecture": "x86_64"}
            self._made(catalog.post("families", json=family))
            for label in LABELS:
                image_id = api.new(name=label)
                self.data[label] = label.encode() * 999
                self._made(api.upload(image_id, self.data[label]))
                version = {"image": image_id, "label": label, "promote": True}
                path = f"families/{FAMILY}/versions"
                self._made(catalog.post(path, json=version))

    @staticmethod
    def _made(answer: requests.Response) -> None:
        assert answer.ok, answer.text

    def work(self, number: int, stop: threading.Event) -> None:
        choose = random.Random(number)
        with (
            self.answers.session(self._front) as api,
            self.answers.session(self._front, CatalogApi) as catalog,
        ):
            while not stop.wait(AGAIN):
                if number < self.writers:
                    with self.answers.going_on(catalog):
                        self._promote(catalog, choose.choice(LABELS))
                else:
                    with self.answers.going_on(api):
                        self._list(api)

    def _promote(self, catalog: CatalogApi, label: str) -> None:
        path = f"families/{FAMILY}/promote"
        catalog.post(path, json={"version": label})

    def _list(self, api: Api) -> None:
        answer = api.get("images", params={"name": FAMILY})
        if answer.ok:
            self.lists[len(answer.json()["images"])] += 1

    def wrongs(self) -> Iterator[str]:
        """Lists with no image or several, and a last promotion that is not followed."""
        if wrong := {count: n for count, n in self.lists.items() if count != 1}:
            yield f"lists by number of images: {wrong}"
        with CatalogApi(self._front) as catalog:
            for label in LABELS:
                path = f"families/{FAMILY}"
                self._made(catalog.post(f"{path}/promote", json={"version": label}))
                if catalog.get(f"{path}/file").content != self.data[label]:
                    yield f"{label} is not the data of the family"


class Imports:
    """Images that the background worker of one of the machines fetches from a web server."""

    clients = 2

    def __init__(self, front: Service, bodies: Sequence[Body], web: str) -> None:
        self._front, self._bodies, self._web = front, bodies, web
        self.may_fail = False  # with a reason: its worker may die
        self.requested: dict[str, Body] = {}
        self.answers = Answers()

    def work(self, number: int, stop: threading.Event) -> None:
        dice = random.Random(number)
        with self.answers.session(self._front) as api:
            while not stop.wait(4 * AGAIN):
                with self.answers.going_on(api):
                    self._request(api, dice.choice(self._bodies[:5]))

    def _request(self, api: Api, body: Body) -> None:
        made = api.post("images", json=FORMATS)
        if not made.ok:
            return
        image_id = made.json()["id"]
        method = {"name": "web-download", "uri": f"{self._web}{body.number}"}
        answer = api.post(f"images/{image_id}/import", json={"method": method})
        if answer.status_code == 202:
            self.requested[image_id] = body

    def wrongs(self) -> Iterator[str]:
        """Images without the data that was to be imported; waits for them."""
        with Api(self._front) as api:
            for image_id, body in self.requested.items():
                status = reached(api, image_id, "active", "queued")
                if status == "queued" and self.may_fail and _failure(api, image_id):
                    continue
                if status != "active" or api.data(image_id) != body.data:
                    yield f"{image_id} is {status}: {_failure(api, image_id)}"


def reached(api: Api, image_id: str, *statuses: str) -> str:
    """The status of the image: one of these, or what there is after two minutes, an error for one."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        answer = api.get(f"images/{image_id}")
        status = answer.json()["status"] if answer.ok else answer.text[:200]
        if status in statuses or answer.status_code == 404:
            break
        time.sleep(0.2)
    return str(status)


def _failure(api: Api, image_id: str) -> str:
    """Return the message of an image's failed import task; empty if none has failed."""
    tasks = api.get(f"images/{image_id}/tasks").json()["tasks"]
    return "; ".join(it["message"] for it in tasks if it["status"] == "failure")


Race = Ids | Patches | Uploads | SlowUploads | Promotions | Imports


def every(
    front: Service, services: Sequence[Service], bodies: Sequence[Body], web: str
) -> list[Race]:
    """Return one race of each kind."""
    return [
        Ids(front),
        Patches(front),
        Uploads(services),
        Promotions(front),
        Imports(front, bodies, web),
    ]


def runner(races: Sequence[Race]) -> tuple[int, Callable[[int, threading.Event], None]]:
    """How many clients there are, and what each of them does, for ``servers.in_threads``."""
    seats = [(race, number) for race in races for number in range(race.clients)]

    def work(seat: int, stop: threading.Event) -> None:
        race, number = seats[seat]
        race.work(number, stop)

    return len(seats), work
