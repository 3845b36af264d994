"""The path on which the doctor is told what came through the proxies."""

from __future__ import annotations

from django.test import Client

from images.api import proxy_check


def test_nobody_but_the_doctor_finds_the_path() -> None:
    client = Client()
    nowhere = client.get("/nowhere")

    for headers in ({}, {proxy_check.SIGNATURE: "doctor:1:forged"}):
        answer = client.get(f"/{proxy_check.PATH}", headers=headers)
        assert answer.status_code == nowhere.status_code == 300
        assert answer.content == nowhere.content
