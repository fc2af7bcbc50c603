"""The door of the dashboard: who comes in, what a visitor without a word is told, and where a password leads."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest

from dashboard.server import Door
from dashboard.settings import Settings

PASSWORD = "correct horse battery"
Ask = Callable[..., httpx.Response]


async def inside(scope: Any, receive: Any, send: Any) -> None:
    """What lies behind the door."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"the pages"})


def asking(settings: Settings) -> Ask:
    """One visitor with a jar of cookies, who follows no redirect."""
    door, jar = Door(inside, settings), httpx.Cookies()

    def ask(method: str, path: str, scheme: str = "http", **given: Any) -> httpx.Response:
        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(app=door)
            async with httpx.AsyncClient(transport=transport, base_url=f"{scheme}://dash", cookies=jar) as client:
                answer = await client.request(method, path, **given)
                jar.update(client.cookies)
                return answer

        return asyncio.run(once())

    return ask


def knocking(settings: Settings, *, cookie: str = "", headers: tuple[tuple[bytes, bytes], ...] = ()) -> str:
    """What becomes of the socket over which the pages speak."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/_stcore/stream", "headers": [(b"cookie", cookie.encode()), *headers]}
    asyncio.run(Door(inside, settings)(scope, receive, send))
    (message,) = sent
    return str(message["type"])


def logged_in(ask: Ask, to: str = "/", **given: Any) -> httpx.Response:
    return ask("POST", "/login", data={"password": PASSWORD, "to": to}, **given)


def test_without_a_password_the_door_is_open() -> None:
    assert asking(Settings())("GET", "/").text == "the pages"
    assert knocking(Settings()) == "websocket.accept"


@pytest.mark.parametrize("path", ["/", "/finding?finding=abc", "/_stcore/health", "/static/js/main.js", "/login"])
def test_without_a_word_no_path_leads_inside(path: str) -> None:
    answer = asking(Settings(password=PASSWORD))("GET", path)
    assert answer.status_code == 401
    assert "the pages" not in answer.text
    assert '<input type="password"' in answer.text


def test_the_socket_is_shut_too() -> None:
    settings = Settings(password=PASSWORD)
    assert knocking(settings) == "websocket.close"
    assert knocking(settings, cookie="recaudit=guessed") == "websocket.close"
    assert knocking(settings, cookie="recaudit=") == "websocket.close"
    assert knocking(settings, cookie="recaudit=\xe4") == "websocket.close", "no letter of a cookie is a crash"


def test_a_wrong_password_costs_half_a_second_and_is_told() -> None:
    ask = asking(Settings(password=PASSWORD))
    started = time.monotonic()
    answer = ask("POST", "/login", data={"password": PASSWORD[:-1], "to": "/runs"})
    assert time.monotonic() - started >= 0.5
    assert answer.status_code == 401
    assert "not the password" in answer.text
    assert 'value="/runs"' in answer.text, "the place that was asked for is kept"
    assert "set-cookie" not in answer.headers
    assert ask("GET", "/").status_code == 401


def test_the_password_opens_with_a_cookie_that_no_script_reads() -> None:
    ask = asking(Settings(password=PASSWORD))
    answer = logged_in(ask, "/finding?finding=abc")
    assert (answer.status_code, answer.headers["location"]) == (303, "/finding?finding=abc")
    cookie = SimpleCookie(answer.headers["set-cookie"])["recaudit"]
    assert cookie["httponly"]
    assert (cookie["samesite"], cookie["path"], cookie["secure"]) == ("Lax", "/", "")
    assert PASSWORD not in answer.headers["set-cookie"]
    assert ask("GET", "/").text == "the pages"


def test_over_https_the_cookie_stays_on_https() -> None:
    assert "; Secure" in logged_in(asking(Settings(password=PASSWORD)), scheme="https").headers["set-cookie"]


def test_each_visitor_has_a_word_of_their_own() -> None:
    settings = Settings(password=PASSWORD)
    one, two = (logged_in(asking(settings)).headers["set-cookie"] for _ in range(2))
    assert one != two
    word = SimpleCookie(one)["recaudit"].value
    assert knocking(settings, cookie=f"recaudit={word}") == "websocket.close", "a word ends with its process"


@pytest.mark.parametrize(
    "to",
    ["//evil.invalid", "https://evil.invalid", r"/\evil.invalid", r"\\evil.invalid", "/\t/evil.invalid", "", "evil",
     "javascript:alert(1)", "/runs\r\nset-cookie: a=b", "/ä"],
)  # fmt: skip
def test_a_password_leads_to_own_addresses_only(to: str) -> None:
    answer = logged_in(asking(Settings(password=PASSWORD)), to)
    assert answer.headers["location"] == "/"
    assert answer.headers.get_list("set-cookie")[1:] == []


def test_an_address_is_escaped_in_the_form() -> None:
    answer = asking(Settings(password=PASSWORD))("GET", '/runs?x="><script>alert(1)</script>')
    assert "<script" not in answer.text


def test_a_long_form_is_not_read_to_its_end() -> None:
    ask = asking(Settings(password=PASSWORD))
    assert ask("POST", "/login", data={"x": "y" * 100_000, "password": PASSWORD}).status_code == 401


def test_a_proxy_vouches_by_its_header() -> None:
    settings = Settings(user_header="X-Forwarded-User")
    ask = asking(settings)
    assert ask("GET", "/").status_code == 401
    assert "through its proxy only" in ask("GET", "/").text
    assert ask("GET", "/", headers={"x-forwarded-user": ""}).status_code == 401
    assert ask("GET", "/", headers={"x-forwarded-user": "jane"}).text == "the pages"
    assert knocking(settings) == "websocket.close"
    assert knocking(settings, headers=((b"x-forwarded-user", b"jane"),)) == "websocket.accept"


def test_a_header_does_not_stand_in_for_the_password() -> None:
    ask = asking(Settings(password=PASSWORD, user_header="X-Forwarded-User"))
    assert ask("GET", "/", headers={"x-forwarded-user": "jane"}).status_code == 401
    assert ask("GET", "/").status_code == 401


@pytest.mark.parametrize("settings", [Settings(), Settings(password=PASSWORD), Settings(user_header="X-User")])
def test_every_answer_says_what_its_scripts_may_do(settings: Settings) -> None:
    headers = asking(settings)("GET", "/").headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert policy["object-src"] == "'none'"
    assert policy["frame-ancestors"] == "'self'"
    assert "http:" not in headers["content-security-policy"]
    assert "*" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["referrer-policy"] == "same-origin"


def test_the_password_is_told_to_nobody(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    settings = Settings(password=PASSWORD)
    ask = asking(settings)
    shown = [repr(settings), str(settings), ask("GET", "/").text, logged_in(ask).text, caplog.text]
    assert not [text for text in shown if PASSWORD in text]


def test_settings_come_back_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Settings("runs.sqlite", "audit.yaml", PASSWORD, "X-User")
    for name, value in told.to_environment().items():
        monkeypatch.setenv(name, value)
    assert Settings.of_environment() == told
