from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from rest_framework.request import Request

from images.http import responses
from images.http.views import ApiView, ApiViewSet


class View(ApiView):
    def perform_authentication(self, request: Request) -> None:
        pass

    def get(self, request: Request) -> HttpResponse:
        return responses.json({})


class ViewSet(ApiViewSet):
    def perform_authentication(self, request: Request) -> None:
        pass

    def list(self, request: Request) -> HttpResponse:
        return responses.json({})


@pytest.fixture
def no_collection() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("view", [View.as_view(), ViewSet.as_view({"get": "list"})])
def test_an_answered_request_does_not_wait_for_garbage_collection(
    view: Callable[..., HttpResponse], rf: RequestFactory
) -> None:
    request = rf.get("/")
    request_seen, response_seen = weakref.ref(request), weakref.ref(view(request))
    del request

    assert request_seen() is None
    assert response_seen() is None
