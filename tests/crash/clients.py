"""Clients that do random verbs, each on images of its own, and write down what they are told."""

from __future__ import annotations

import gzip
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

import requests

from tests.crash.judge import Judge
from tests.crash.ledger import READABLE, TRASH, Body, Entry
from tests.servers import Service
from tests.web import described
from tests.wire.api import OCTETS, PATCH, Api, ApiV1, connect, meta, upload_head

ACTIVE, QUEUED = frozenset(("active",)), frozenset(("queued",))
DEACTIVATED, DELETED = frozenset(("deactivated",)), frozenset(("deleted",))
KILLED, STAGED = frozenset(("killed",)), frozenset(("uploading", "queued"))
IMPORTED = STAGED | ACTIVE  # or back, when the worker is killed
FORMATS = {"disk_format": "raw", "container_format": "bare"}
OFFSET_OCTETS = "application/offset+octet-stream"
IMAGES = 6  # of each client
FURTHER_STORE = "further"
REGION, REMOTE = "east", "/v2/images/"  # the other region, and the path of its images
WEIGHTS = (4, 4, 4, 4, 4, 3, 2, 1)  # of the bodies


@contextmanager
def web(bodies: list[Body]) -> Iterator[str]:
    """A web server with the bodies; its URL, to which a body's number is added.

    It is an image service too: there a body is the data of the image ``remote_id``.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.removesuffix("/file")
            name = path.rpartition("/")[2]
            is_remote = path.startswith(REMOTE)
            data = bodies[UUID(name).int if is_remote else int(name)].data
            if is_remote and path == self.path:
                data = json.dumps(described(data)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command == "GET":
                with suppress(OSError):  # who asked may have been killed
                    self.wfile.write(data)

        do_HEAD = do_GET

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def remote_id(body: Body) -> str:
    """The id of the image with this data in the other region."""
    return str(UUID(int=body.number))


class Client:
    """Works in a thread while nobody else holds its ``slot``. ``said`` counts the answers."""

    def __init__(
        self, dice: random.Random, bodies: list[Body], web: str, judge: Judge
    ) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.dice, self.bodies, self.web, self.judge = dice, bodies, web, judge
        self.slot = threading.Lock()
        self.stopping = False
        self.entries: list[Entry] = []
        self.said: Counter[str] = Counter()
        self.failure: BaseException | None = None

    def use(self, service: Service) -> None:
        """From now on. Call it with the client's slot in hand."""
        self.service, self.api, self.v1 = service, Api(service), ApiV1(service)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.stopping = True
        self._thread.join(90)
        self.api.close()
        self.v1.close()

    def _run(self) -> None:
        try:
            while not self.stopping:
                with self.slot:
                    self._step()
                time.sleep(self.dice.uniform(0.005, 0.03))
        except BaseException as error:  # told to the one who looks after us
            self.failure = error

    def _step(self) -> None:
        living = [entry for entry in self.entries if not entry.gone]
        if len(living) < IMAGES:
            self._create()
            return
        entry = self.dice.choice(living)
        if entry.upload:
            self._go_on(entry)
            return
        if entry.copying:
            self._look_at_copy(entry)
            return
        status = self.dice.choice(sorted(entry.may))
        if verbs := VERBS.get(status):
            self.dice.choice(verbs)(self, entry)

    def _do(
        self,
        entry: Entry,
        status: frozenset[str],
        method: str,
        path: str,
        api: Api | None = None,
        **rest: Any,
    ) -> str:
        """Send it and note what it means for the image: ``ack``, ``refused`` or ``unknown``."""
        api = api or self.api
        try:
            answer = api.request(method, path, **rest)
            code = answer.status_code
        except requests.RequestException as error:
            self.said["hung" if isinstance(error, requests.Timeout) else "broken"] += 1
            api.close()
            code = 599
            time.sleep(0.03)
        if code >= 500:
            entry.unknown(status)
        elif code < 300:
            entry.acknowledged(status)
        self.said[f"{code // 100}xx"] += code != 599
        return "unknown" if code >= 500 else "ack" if code < 300 else "refused"

    def _entry(self, body: Body | None = None) -> Entry:
        body = body or self.dice.choices(self.bodies, WEIGHTS)[0]
        entry = Entry(str(UUID(int=self.dice.getrandbits(128), version=4)), body)
        entry.names = {"new"}
        self.entries.append(entry)
        return entry

    def _new(self, body: Body | None = None, **fields: str) -> Entry:
        entry = self._entry(body)
        fields = FORMATS | {"id": entry.id, "name": "new"} | fields
        self._do(entry, QUEUED, "POST", "images", json=fields)
        return entry

    # Verbs

    def _create(self) -> None:
        chance = self.dice.random()
        if chance < 0.7:
            self._new()
            return
        if chance < 0.82:
            self._create_by_copy()
            return
        if chance < 0.9:
            self._create_by_conversion()
            return
        entry = self._new(disk_format="qcow2")  # which our bodies are not
        self._put(entry, entry.body.data)
        self._delete(entry)

    def _put(self, entry: Entry, data: bytes | Iterator[bytes]) -> None:
        path = f"images/{entry.id}/file"
        self._do(entry, ACTIVE, "PUT", path, data=data, headers=OCTETS)

    def _upload(self, entry: Entry) -> None:
        self._put(entry, entry.body.data)

    def _upload_slowly(self, entry: Entry) -> None:
        self._put(entry, self._slowly(entry.body.data))

    def _slowly(
        self, data: bytes, then: Callable[[], object] = lambda: None
    ) -> Iterator[bytes]:
        step = max(len(data) // 5, 1)
        for start in range(0, len(data), step):
            yield data[start : start + step]
            time.sleep(self.dice.uniform(0, 0.06))
            if start == 2 * step:
                then()

    def _upload_and_delete(self, entry: Entry) -> None:
        def delete() -> None:
            with Api(self.service) as other, suppress(requests.RequestException):
                other.delete(f"images/{entry.id}")

        may = entry.may
        self._put(entry, self._slowly(entry.body.data, delete))
        # Two answers, and whichever came first: all of it is possible.
        entry.may = may | ACTIVE | TRASH
        entry.before = entry.may & READABLE

    def _break_off(self, entry: Entry) -> None:
        announced = f"Content-Length: {len(entry.body.data) + 1}"
        head = upload_head(self.service, entry.id, announced)
        with suppress(OSError), connect(self.service) as sock:
            sock.sendall(head + entry.body.data)
            # Until its end: while gunicorn is started again, a connection waits, and its upload
            # would begin when everything else has ended.
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(4096):
                pass

    def _resumable(self, entry: Entry) -> None:
        """In one or two requests, with tus; what breaks off goes on in a later step, or expires."""
        size = len(entry.body.data)
        if not size:
            return
        path = f"images/{entry.id}/uploads"
        answer = self._say("POST", path, {"Upload-Length": str(size)})
        if answer is None or answer.status_code != 201:
            return
        entry.upload = answer.headers["Location"].partition("/v2/")[2]
        if self.dice.random() < 0.1:
            self._say("DELETE", entry.upload)
            return
        entry.unknown(ACTIVE)
        self._send(entry, 0, self.dice.choice([size, size // 2]))
        self._go_on(entry)

    def _go_on(self, entry: Entry) -> None:
        answer = self._say("HEAD", entry.upload)
        if answer is None or answer.status_code >= 500:
            return
        if answer.status_code != 200:
            entry.upload = ""  # it has expired
            entry.acknowledged(QUEUED)
            return
        offset = int(answer.headers["Upload-Offset"])
        if offset < len(entry.body.data):
            self._send(entry, offset, len(entry.body.data))
        answer = self._say("GET", entry.upload)
        if answer is not None and b'"complete"' in answer.content:
            entry.upload = ""
            entry.acknowledged(ACTIVE)

    def _send(self, entry: Entry, start: int, stop: int) -> None:
        headers = {"Upload-Offset": str(start), "Content-Type": OFFSET_OCTETS}
        data = self._slowly(entry.body.data[start:stop])
        self._say("PATCH", entry.upload, headers, data)

    def _say(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
    ) -> requests.Response | None:
        headers = {"Tus-Resumable": "1.0.0"} | dict(headers or {})
        try:
            answer = self.api.request(method, path, headers=headers, data=data)
        except requests.RequestException as error:
            self.said["hung" if isinstance(error, requests.Timeout) else "broken"] += 1
            self.api.close()
            time.sleep(0.03)
            return None
        self.said[f"{answer.status_code // 100}xx"] += 1
        return answer

    def _stage(self, entry: Entry) -> None:
        """The data expires, unless it is imported before; the import decompresses it."""
        is_compressed = self.dice.random() < 0.5
        data = entry.body.data
        self._stage_data(entry, gzip.compress(data, 1) if is_compressed else data)

    def _stage_data(self, entry: Entry, data: bytes) -> None:
        path, blocks = f"images/{entry.id}/stage", self._slowly(data)
        self._do(entry, STAGED, "PUT", path, data=blocks, headers=OCTETS)

    def _import(self, entry: Entry) -> None:
        stores = self._stores()
        self._request_import(entry, IMPORTED, {"name": "glance-direct"}, **stores)

    def _import_from_web(self, entry: Entry) -> None:
        uri = f"{self.web}{entry.body.number}"
        method = {"name": "web-download", "uri": uri}
        self._request_import(entry, ACTIVE | QUEUED, method, **self._stores())

    def _import_from_region(self, entry: Entry) -> None:
        remote = {"glance_region": REGION, "glance_image_id": remote_id(entry.body)}
        method = {"name": "glance-download"} | remote
        self._request_import(entry, ACTIVE | QUEUED, method, **self._stores())

    def _stores(self) -> dict[str, bool]:
        """One store or all, and with or without those that fail."""
        return {
            "all_stores": self.dice.random() < 0.5,
            "all_stores_must_succeed": self.dice.random() < 0.5,
        }

    def _request_import(
        self, entry: Entry, status: frozenset[str], method: dict[str, str], **rest: Any
    ) -> None:
        body = {"method": method} | rest
        self._do(entry, status, "POST", f"images/{entry.id}/import", json=body)

    def _create_by_conversion(self) -> None:
        """Where the import fails, the image stays a queued one, which nothing fits."""
        disks = [body for body in self.bodies if body.is_disk]
        entry = self._new(self.dice.choice(disks[:2]), disk_format="qcow2")
        self._stage_data(entry, entry.body.as_qcow2())
        self._import(entry)

    def _copy_to_store(self, entry: Entry) -> None:
        method = {"name": "copy-image"}
        self._request_import(entry, entry.may, method, stores=[FURTHER_STORE])

    def _remove_from_store(self, entry: Entry) -> None:
        path = f"stores/{FURTHER_STORE}/{entry.id}"
        self._do(entry, entry.may, "DELETE", path)

    def _create_by_copy(self) -> None:
        entry = self._entry()
        self._request_copy(
            entry, "POST", "images", meta(**FORMATS, id=entry.id, name="new")
        )

    def _copy(self, entry: Entry) -> None:
        self._request_copy(entry, "PUT", f"images/{entry.id}", {})

    def _request_copy(
        self, entry: Entry, method: str, path: str, headers: dict[str, str]
    ) -> None:
        source = {"X-Glance-API-Copy-From": f"{self.web}{entry.body.number}"}
        headers = OCTETS | headers | source
        said = self._do(entry, entry.copied, method, path, self.v1, headers=headers)
        entry.copying = said != "refused"

    def _look_at_copy(self, entry: Entry) -> None:
        """Only delete or read the image: another change could come before the copy or after it."""
        if self.dice.random() < 0.1:
            entry.copying = self._delete(entry) != "ack"
            return
        answer = self._say("GET", f"images/{entry.id}")
        if answer is None or answer.status_code != 200:
            return
        status = frozenset((answer.json()["status"],))
        # An image whose location was accepted is importing; queued, it was refused.
        if status in (ACTIVE, KILLED) or (entry.locating and status == QUEUED):
            entry.copying = entry.locating = False
            entry.acknowledged(status)

    def _delete(self, entry: Entry) -> str:
        return self._do(entry, TRASH, "DELETE", f"images/{entry.id}")

    def _restore(self, entry: Entry) -> None:
        if self.dice.random() < 0.8:
            path = f"images/{entry.id}/actions/restore"
            self._do(entry, entry.before, "POST", path)
        elif self.judge.command("image_restore", entry.id):
            entry.acknowledged(entry.before)

    def _delete_and_restore(self, entry: Entry) -> None:
        self._delete(entry)
        self._restore(entry)

    def _scrub(self, entry: Entry) -> None:
        if self.judge.command("image_scrub", entry.id):
            entry.acknowledged(DELETED)

    def _make_room(self, entry: Entry) -> None:
        """Record an image that the worker has scrubbed as deleted, so that a new one can replace it."""
        row = self.judge.rows([entry.id]).get(entry.id)
        if row and row.status == "deleted":
            entry.acknowledged(DELETED)

    def _deactivate(self, entry: Entry) -> None:
        path = f"images/{entry.id}/actions/deactivate"
        self._do(entry, DEACTIVATED, "POST", path)

    def _reactivate(self, entry: Entry) -> None:
        self._do(entry, ACTIVE, "POST", f"images/{entry.id}/actions/reactivate")

    def _patch(
        self, entry: Entry, status: frozenset[str], op: str, path: str, **rest: Any
    ) -> str:
        change = [{"op": op, "path": path} | rest]
        target = f"images/{entry.id}"
        return self._do(entry, status, "PATCH", target, json=change, headers=PATCH)

    def _remove_location(self, entry: Entry) -> None:
        entry.emptied = True
        # All of them: after an upload without an answer it may have got a second one.
        self._patch(entry, QUEUED, "replace", "/locations", value=[])

    def _add_location(self, entry: Entry) -> None:
        digest = {"os_hash_algo": "sha512", "os_hash_value": entry.body.hash_value}
        url = f"{self.web}{entry.body.number}"
        value = {"url": url, "metadata": {}, "validation_data": digest}
        self._patch(entry, ACTIVE, "add", "/locations/-", value=value)

    def _request_location(self, entry: Entry) -> None:
        path, url = f"images/{entry.id}/locations", f"{self.web}{entry.body.number}"
        said = self._do(entry, ACTIVE | QUEUED, "POST", path, json={"url": url})
        entry.copying = entry.locating = said != "refused"

    def _rename(self, entry: Entry) -> None:
        name = f"{self.dice.random()}"
        said = self._patch(entry, entry.may, "replace", "/name", value=name)
        if said == "unknown":
            entry.names = entry.names | {name}
        elif said == "ack":
            entry.names = {name}

    def _read(self, entry: Entry) -> None:
        with suppress(requests.RequestException):
            answer = self.api.get(f"images/{entry.id}/file")
            if answer.status_code == 200 and answer.content != entry.body.data:
                self.said["wrong bytes"] += 1


Verb = Callable[[Client, Entry], object]
VERBS: dict[str, list[Verb]] = {
    "queued": [
        *([Client._upload, Client._upload_slowly] * 3),
        *([Client._resumable] * 3),
        *([Client._stage] * 3),
        *([Client._copy, Client._import_from_web, Client._import_from_region] * 3),
        Client._upload_and_delete,
        Client._break_off,
        Client._add_location,
        *([Client._request_location] * 2),
        Client._rename,
        Client._delete,
    ],
    "uploading": [Client._import],
    "active": [
        *([Client._delete, Client._delete_and_restore] * 2),
        Client._deactivate,
        Client._remove_location,
        Client._rename,
        *([Client._read, Client._copy_to_store] * 3),
        Client._remove_from_store,
    ],
    "deactivated": [
        Client._reactivate,
        Client._rename,
        Client._delete,
        Client._delete_and_restore,
    ],
    "killed": [Client._delete],
    "pending_delete": [Client._restore, Client._scrub, Client._scrub],
    "deleted": [Client._make_room],
}
