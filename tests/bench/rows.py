"""What is measured: one row each, with the budget it must keep, as data."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench import signin
from tests.bench.load import throughput
from tests.bench.quiet import MIB, prewarm
from tests.bench.target import Target, pattern
from tests.bench.wire import BLOCK, Answer, BenchError, Endpoint, Session, exchange


@dataclass
class Plan:
    """What all samples share."""

    folder: Path
    size: int  # bytes of an upload
    seconds: float  # of one throughput sample
    source: str  # URL of ``size`` bytes to import
    pipeline: str  # URL that digests and stores uploads, and does no more
    client_share: float = 0.0  # the busiest load client seen, as a share of a core


Sample = Callable[[Target, Plan], list[float]]


@dataclass(frozen=True)
class Row:
    """A figure; ``must`` is how many times better than the peer's it has to be, 0: not compared."""

    group: str  # for --only
    key: str
    unit: str  # ms, x one: small is good; req/s, MiB/s: big is good
    must: float
    sample: Sample
    limit: float = 0  # absolute, where there is one
    aim: float = 0  # as `must`, but how many times it shall be better in the end


def milliseconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1000


def latency(page: str, count: int) -> Sample:
    """``count`` sequential GETs, each on a new connection."""

    def sample(target: Target, plan: Plan) -> list[float]:
        request = target.endpoint.request("GET", target.paths[page])
        return timed(page, count, partial(exchange, target.endpoint, request))

    return sample


def latency_in_session(page: str, count: int) -> Sample:
    """``count`` sequential GETs on one connection, as openstacksdk and gophercloud send them."""

    def sample(target: Target, plan: Plan) -> list[float]:
        request = target.endpoint.request("GET", target.paths[page], keep_alive=True)
        with Session(target.endpoint) as session:
            return timed(page, count, partial(session.exchange, request))

    return sample


def timed(page: str, count: int, get: Callable[[], Answer]) -> list[float]:
    """The times of ``count`` calls of ``get``, in ms."""

    def once() -> None:
        get().expect(200, page)

    once()  # unmeasured: the first one after a pause fills caches
    return [milliseconds(once) for _ in range(count)]


def page(path: str, *, first_byte: bool = False) -> Sample:
    """20 sequential GETs of a page of the browser admin; nothing where there is none.

    ``IMAGE`` in the path stands for the id of an image. With ``first_byte`` the rest is not awaited.
    """

    def sample(target: Target, plan: Plan) -> list[float]:
        if not target.admin:
            return []
        if not target.cookie:
            target.cookie = signin.browser(target.endpoint, *target.admin)
        headers = {"Cookie": target.cookie}
        image = target.paths["show"].rpartition("/")[2]
        address = path.replace("IMAGE", image)
        request = target.endpoint.request("GET", address, headers=headers)

        def once() -> None:
            if first_byte:
                begin(target.endpoint, request)
            else:
                exchange(target.endpoint, request).expect(200, address)

        once()  # unmeasured: the first one counts a large catalogue
        return [milliseconds(once) for _ in range(20)]

    return sample


def begin(endpoint: Endpoint, request: bytes) -> None:
    """Wait for the beginning of an answer, and hang up. Raises BenchError for an error."""
    with endpoint.connect() as sock:
        sock.sendall(request)
        if (line := sock.recv(12)) != b"HTTP/1.1 200":
            raise BenchError(f"an answer begins with {line!r}")


def rate(page: str) -> Sample:
    """Answers a second over 8 kept-alive connections."""

    def sample(target: Target, plan: Plan) -> list[float]:
        path = target.paths[page]
        got = throughput(target.endpoint, path, seconds=plan.seconds)
        plan.client_share = max(plan.client_share, got.client_share)
        return [got.per_second]

    return sample


CHANGES = 25  # images created, and deleted, in one sample


def create(target: Target, plan: Plan) -> list[float]:
    times: list[float] = []
    for number in range(CHANGES):
        times.append(milliseconds(partial(target.create, number)))
        target.spare.append(target.images.pop())
    return times


def delete(target: Target, plan: Plan) -> list[float]:
    while len(target.spare) < CHANGES:
        target.create(len(target.spare))
        target.spare.append(target.images.pop())
    doomed, target.spare = target.spare[:CHANGES], target.spare[CHANGES:]
    return [milliseconds(partial(target.delete, image)) for image in doomed]


def speed(plan: Plan, transfer: Callable[[], float]) -> list[float]:
    """MiB a second of ``transfer``, which brings in as many bytes as planned, in seconds."""
    prewarm(plan.folder, plan.size)
    return [plan.size / MIB / transfer()]


def upload(chunked: bool) -> Sample:
    """One upload to a new image; the one before is gone by then."""

    def sample(target: Target, plan: Plan) -> list[float]:
        target.drop_big()
        return speed(plan, lambda: target.upload(plan.size, chunked=chunked))

    return sample


def bare_upload(chunked: bool) -> Sample:
    """The time of an upload, in times of receiving, digesting and writing the same bytes alone.

    Only of a service on this machine.
    """

    def sample(target: Target, plan: Plan) -> list[float]:
        if target.memory is None:
            return []
        bare = Target("pipeline", Endpoint.of(plan.pipeline))
        target.drop_big()
        prewarm(plan.folder, plan.size)
        seconds = target.upload(plan.size, chunked=chunked)
        target.drop_big()
        prewarm(plan.folder, plan.size)
        return [seconds / bare.send("/", plan.size, chunked=False, more={})]

    return sample


def download(target: Target, plan: Plan) -> list[float]:
    """One download; the first of an image, unmeasured, is a story of its own."""
    if not target.big:
        target.upload(plan.size, chunked=True)
    if target.big not in target.read:
        os.sync()
        target.download(plan.size)
    return [plan.size / MIB / target.download(plan.size)]


def bare_download(target: Target, plan: Plan) -> list[float]:
    """The time of a download, in times of sending a file of the same size with sendfile alone.

    Only of a service on this machine.
    """
    if target.memory is None:
        return []
    if not target.big:
        target.upload(plan.size, chunked=True)
    bare = Target("sendfile", Endpoint.of(plan.pipeline))
    file = plan.folder / "sent"
    with file.open("wb") as out:
        for _ in range(plan.size // BLOCK):
            out.write(pattern())
    os.sync()
    ours = partial(target.download, plan.size)
    alone = partial(bare.download, plan.size, str(file))
    pairs = [[one() for one in (ours, alone)] for _ in range(4)][1:]
    file.unlink()
    best, best_alone = (min(seconds) for seconds in zip(*pairs, strict=True))
    return [best / best_alone]


def two_stores(target: Target, plan: Plan) -> list[float]:
    """The time of an import from the web into two stores, in times of that into one.

    Nothing where there is only one store. Staged data is not compared: in the store where it is
    staged, it becomes the image's data without being written again.
    """
    names = target.stores()[:2]
    if len(names) < 2:
        return []
    seconds = []
    for chosen in (names[:1], names):
        prewarm(plan.folder, plan.size * len(chosen))
        done = target.import_from_web(plan.size, plan.source, chosen)
        seconds.append(done.work)
    return [seconds[1] / seconds[0]]


def staged(target: Target, plan: Plan) -> list[float]:
    """Stage and import, one after the other as clients do."""
    return speed(plan, lambda: target.import_staged(plan.size))


def from_web(target: Target, plan: Plan) -> list[float]:
    """An import from a web server on this machine."""
    return speed(plan, lambda: target.import_from_web(plan.size, plan.source).total)


def copied(target: Target, plan: Plan) -> list[float]:
    """A copy into the second store; nothing where there is only one."""
    names = target.stores()[:2]
    if len(names) < 2:
        return []
    return speed(plan, lambda: target.copy(plan.size, names[1]))


def hit(target: Target, plan: Plan) -> list[float]:
    """The time of a download from the cache, in times of that from a local store.

    Nothing where there is no cache. The first download, unmeasured, fills the cache.
    """
    if not target.cached_store:
        return []
    seconds = []
    for store in ("", target.cached_store):
        target.drop_big()
        target.upload(plan.size, chunked=False, store=store)
        os.sync()
        target.download(plan.size)
        if store:
            target.wait_until_cached()
        seconds.append(min(target.download(plan.size) for _ in range(3)))
    target.drop_big()
    return [seconds[1] / seconds[0]]


def published(target: Target, plan: Plan) -> list[float]:
    """The time of a download from the published tree, in times of one by the Image API.

    Nothing of a service that publishes no files.
    """
    if not target.publishes:
        return []
    if not target.big:
        target.upload(plan.size, chunked=True)
    os.sync()
    target.download(plan.size)  # unmeasured: the first one of an image
    with target.published() as path:
        pairs = [
            [target.download(plan.size, it) for it in ("", path)] for _ in range(3)
        ]
    by_api, from_tree = (min(seconds) for seconds in zip(*pairs, strict=True))
    return [from_tree / by_api]


IMAGES = "/admin/images/image/"
SEARCH_MUST = 150.0  # ms, also with a million images
SEARCHES = (
    ("a common word", "ubuntu"),
    ("a rare word", "bench-97753"),
    ("two words", "ubuntu+decade-97"),
    ("no match", "ubuntu+nowhere"),
)
EVERYWHERE = "/admin/search/?q=ubuntu"
PAGE_MUST = 150.0  # ms
TWO_STORES_MUST = 1.2  # times the import into one store
BARE_MUST = 1 / 0.9  # times the bare pipeline or sendfile: 90 % of its speed
HIT_MUST = 1.05  # times the download from a local store: as fast, but for the noise
PUBLISHED_MUST = 1.05  # times the download by the Image API
ROWS = (
    Row("list", "list 25, first page", "ms", 4, latency("first", 30), aim=7),
    Row("list", "list 25, deep page", "ms", 4, latency("deep", 30), aim=7),
    Row(
        "list", "list 25, first page, 8 connections", "req/s", 6, rate("first"), aim=11
    ),
    Row("list", "list 25, deep page, 8 connections", "req/s", 6, rate("deep"), aim=10),
    Row(
        "list",
        "list 25, first page, kept connection",
        "ms",
        4,
        latency_in_session("first", 30),
    ),
    Row("list1000", "list 1000", "ms", 15, latency("thousand", 5), aim=35),
    Row("show", "show", "ms", 2.5, latency("show", 50), aim=4),
    Row("show", "show, kept connection", "ms", 2.5, latency_in_session("show", 50)),
    Row("show", "show, 8 connections", "req/s", 3, rate("show"), aim=6),
    Row("create", "create", "ms", 5, create, aim=8),
    Row("delete", "delete", "ms", 5, delete, aim=8),
    Row("upload", "upload, chunked", "MiB/s", 2, upload(chunked=True), aim=3.3),
    Row("upload", "upload, Content-Length", "MiB/s", 2, upload(chunked=False), aim=3.3),
    Row(
        "upload",
        "upload, chunked, to the bare pipeline",
        "x one",
        0,
        bare_upload(True),
        BARE_MUST,
    ),
    Row(
        "upload",
        "upload, Content-Length, to the bare pipeline",
        "x one",
        0,
        bare_upload(False),
        BARE_MUST,
    ),
    Row("download", "download", "MiB/s", 1.3, download, aim=1.7),
    Row(
        "download", "download, to sendfile alone", "x one", 0, bare_download, BARE_MUST
    ),
    Row("publish", "published download", "x one", 0, published, PUBLISHED_MUST),
    Row("import", "import from the web", "MiB/s", 2, from_web),
    Row("import", "stage and import", "MiB/s", 2.5, staged),
    Row("import", "copy into another store", "MiB/s", 2, copied),
    Row("import", "import into two stores", "x one", 0, two_stores, TWO_STORES_MUST),
    Row("cache", "download from the cache", "x one", 0, hit, HIT_MUST),
    Row("metadefs", "list of 33 namespaces", "ms", 5, latency("namespaces", 20)),
    Row("admin", "admin: front page", "ms", 0, page("/admin/"), PAGE_MUST),
    Row("admin", "admin: list", "ms", 0, page(IMAGES), PAGE_MUST),
    Row("admin", "admin: list, page 40", "ms", 0, page(f"{IMAGES}?p=40"), PAGE_MUST),
    Row("admin", "admin: trash", "ms", 0, page(f"{IMAGES}?view=trash"), PAGE_MUST),
    *(
        Row(
            "admin",
            f"admin: search, {kind}",
            "ms",
            0,
            page(f"{IMAGES}?q={words}"),
            SEARCH_MUST,
        )
        for kind, words in SEARCHES
    ),
    Row("admin", "admin: search everywhere", "ms", 0, page(EVERYWHERE), PAGE_MUST),
    Row("admin", "admin: image", "ms", 0, page(f"{IMAGES}IMAGE/change/"), PAGE_MUST),
    Row("admin", "admin: activity", "ms", 0, page("/admin/activity/"), PAGE_MUST),
    Row(
        "admin",
        "admin: export, first byte",
        "ms",
        0,
        page(f"{IMAGES}export/csv/", first_byte=True),
        PAGE_MUST,
    ),
)
GROUPS = tuple(dict.fromkeys(row.group for row in ROWS))
# Lists and shows again with the big catalogue, where a page may cost so much more.
BIG_GROUPS = ("list", "list1000", "show", "admin")
FLAT_MUST = 1.5  # times the same page of the small catalogue
GROWTH_MUST = 64.0  # MiB that a process may grow while it carries data
