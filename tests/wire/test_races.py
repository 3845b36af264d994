"""Requests that meet on one image: exactly one wins, and nobody sees an error but 409."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import requests

from tests.servers import Service
from tests.wire.api import PATCH, Api
from tests.wire.evidence import Evidence

pytestmark = pytest.mark.usefixtures("no_traceback")
LANES = 4  # races at the same time
RACES = 200

Answers = list[requests.Response]
Run = Callable[[Callable[[Api, Api], None]], None]


@pytest.fixture
def runners(catalogue: Service) -> Iterator[list[tuple[Api, Api]]]:
    """Pairs of clients, on connections of their own, that are known to the service already."""
    pairs = [(Api(catalogue), Api(catalogue)) for _ in range(LANES)]
    for api in (api for pair in pairs for api in pair):
        assert api.get("images?limit=1").ok
    yield pairs
    for api in (api for pair in pairs for api in pair):
        api.close()


@pytest.fixture
def race(runners: list[tuple[Api, Api]]) -> Run:
    """``race(one_race)``: run it RACES times, on several lanes."""

    def run(one_race: Callable[[Api, Api], None]) -> None:
        def lane(pair: tuple[Api, Api]) -> None:
            for _ in range(RACES // LANES):
                one_race(*pair)

        with ThreadPoolExecutor(LANES) as pool:
            list(pool.map(lane, runners))

    return run


def at_once(*requests: Callable[[], Any]) -> list[Any]:
    """Their results, in order; all are let go at the same moment."""
    line = Barrier(len(requests))

    def go(request: Callable[[], Any]) -> Any:
        line.wait(30)
        return request()

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(go, requests))


def codes(answers: list[requests.Response]) -> list[int]:
    return [answer.status_code for answer in answers]


@pytest.mark.slow
def test_of_two_uploads_exactly_one_wins(race: Run) -> None:
    def one_race(first: Api, second: Api) -> None:
        image_id = first.new()
        bodies = b"first" * 1000, b"second" * 1000

        answers = at_once(
            lambda: first.upload(image_id, bodies[0]),
            lambda: second.upload(image_id, iter([bodies[1]])),
        )

        assert sorted(codes(answers)) == [204, 409], [a.text for a in answers]
        winner = bodies[codes(answers).index(204)]
        assert first.data(image_id) == winner
        assert first.image(image_id)["size"] == len(winner)

    race(one_race)


@pytest.mark.slow
def test_an_upload_loses_against_a_deletion_or_comes_before_it(
    race: Run, evidence: Evidence
) -> None:
    deleted: list[str] = []

    def one_race(first: Api, second: Api) -> None:
        image_id = first.new()
        upload, deletion = at_once(
            lambda: first.upload(image_id, b"bytes" * 1000),
            lambda: second.delete(f"images/{image_id}"),
        )
        assert deletion.status_code == 204, deletion.text
        assert upload.status_code in (204, 404, 410), upload.text
        assert first.get(f"images/{image_id}").status_code == 404
        kept = evidence.status(image_id) == "pending_delete"
        assert kept == (upload.status_code == 204)
        if not kept:
            deleted.append(image_id)

    race(one_race)
    for image_id in deleted:
        evidence.wait_for_nothing_left(image_id)


@pytest.mark.slow
def test_deactivation_and_deletion_at_once_end_in_the_trash(
    race: Run, evidence: Evidence
) -> None:
    outcomes: Counter[int] = Counter()

    def one_race(first: Api, second: Api) -> None:
        image_id = first.new()
        assert first.upload(image_id, b"bytes").status_code == 204
        deactivation, deletion = at_once(
            lambda: first.post(f"images/{image_id}/actions/deactivate"),
            lambda: second.delete(f"images/{image_id}"),
        )
        assert deletion.status_code == 204, deletion.text
        assert deactivation.status_code in (204, 404), deactivation.text
        assert evidence.status(image_id) == "pending_delete"
        outcomes[deactivation.status_code] += 1

    race(one_race)
    assert outcomes.total() == RACES


@pytest.mark.slow
def test_changes_of_different_properties_at_once_lose_nothing(race: Run) -> None:
    def setting(name: str) -> list[dict[str, str]]:
        return [{"op": "add", "path": f"/{name}", "value": name}]

    def one_race(first: Api, second: Api) -> None:
        path = f"images/{first.new(kept='kept')}"
        answers = at_once(
            lambda: first.patch(path, json=setting("one"), headers=PATCH),
            lambda: second.patch(path, json=setting("two"), headers=PATCH),
            lambda: first.put(f"{path}/tags/tagged"),
        )
        assert codes(answers) == [200, 200, 204], [a.text for a in answers]
        image = second.get(path).json()
        found = image["one"], image["two"], image["kept"], image["tags"]
        assert found == ("one", "two", "kept", ["tagged"])

    race(one_race)


def test_an_id_is_given_once(runners: list[tuple[Api, Api]]) -> None:
    image_id = "0a0b0c0d-0000-4000-8000-000000000001"
    apis = [api for pair in runners for api in pair]

    answers = at_once(
        *[lambda api=api: api.post("images", json={"id": image_id}) for api in apis]
    )

    assert sorted(codes(answers)) == [201] + [409] * (len(apis) - 1)


def test_many_images_are_made_at_once(
    catalogue: Service, runners: list[tuple[Api, Api]]
) -> None:
    apis = [api for pair in runners for api in pair]

    def make(api: Api) -> set[str]:
        return {api.new(name="one of many") for _ in range(25)}

    made = at_once(*[lambda api=api: make(api) for api in apis])

    assert len(set.union(*made)) == 25 * len(apis)
    assert "database is locked" not in catalogue.log_tail()
