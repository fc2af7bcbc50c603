"""The web server: Streamlit behind a door. Whoever may not come in reaches neither pages nor their socket."""

from __future__ import annotations

import asyncio
import os
import secrets
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from dashboard.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

SCRIPT = Path(__file__).parent / "app.py"
_OPTIONS: dict[str, object] = {
    # Nothing is sent anywhere, and no error shows its insides.
    "browser.gatherUsageStats": False,
    "client.showErrorDetails": "none",
    "client.toolbarMode": "minimal",
    "server.fileWatcherType": "none",
    "runner.magicEnabled": False,
    "server.headless": True,
    "theme.primaryColor": "#1d5fa8",
}
_POLICY = (
    "default-src 'self'; script-src 'self' blob: 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' ws: wss:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'self'"
)
"""Scripts come from here only, and can talk to nobody else."""
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"referrer-policy", b"same-origin"),
)
_NAMED_HOME = "/overview"
"""`place.HOME`, without Streamlit. The first page has no name in its address; whoever types one gets there too."""
_COOKIE = "recaudit"
_MOST = 4096
"""Bytes of a form that are read."""
_PAUSE = 0.5
"""Seconds that a wrong password costs."""


def make(settings: Settings) -> Any:  # noqa: ANN401 - streamlit's application, which is imported late
    """The application of a dashboard, for any ASGI server.

    Args:
        settings: how it was started; they are put into the environment, where the pages read them.
    """
    os.environ.update(settings.to_environment())
    from starlette.middleware import Middleware
    from streamlit import App, config

    # Not in the environment: only `streamlit run` reads it from there.
    for name, value in _OPTIONS.items():
        config.set_option(name, value)
    return App(SCRIPT, middleware=[Middleware(Door, settings=settings)])


def serve(settings: Settings, *, address: str, port: int) -> None:
    """Serve a dashboard until it is interrupted."""
    import uvicorn

    uvicorn.run(make(settings), host=address, port=port, log_level="warning", server_header=False)


class Door:
    """Lets in whoever gives the password, or whom the proxy in front vouches for.

    The cookie of a visitor is a word of this process that is thrown for each of them: it says nothing of the password,
    no script can read it, and it ends with the process.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.inside: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == _NAMED_HOME:
            await _page(send, 307, "", (b"location", _home(scope.get("query_string", b""))))
        elif self.admits(scope):
            await self.app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        elif self.settings.user_header:
            await _page(send, 401, _REFUSED)
        elif scope["method"] == "POST" and scope["path"] == "/login":
            await self._log_in(scope, receive, send)
        else:
            query = scope.get("query_string", b"").decode("latin-1")
            await _page(send, 401, _form("", scope["path"] + (f"?{query}" if query else "")))

    def admits(self, scope: Scope) -> bool:
        """Whether this request may pass."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if self.settings.user_header and not headers.get(self.settings.user_header.lower()):
            return False
        if self.settings.password is None:
            return True
        given = dict(part.strip().partition("=")[::2] for part in headers.get("cookie", "").split(";"))
        return any(secrets.compare_digest(given.get(_COOKIE, "").encode(), word.encode()) for word in self.inside)

    async def _log_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more and len(body) <= _MOST:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        form = parse_qs(body[:_MOST].decode("utf-8", "replace"))
        given, to = (form.get(name, [""])[0] for name in ("password", "to"))
        if not secrets.compare_digest(given.encode(), (self.settings.password or "").encode()):
            await asyncio.sleep(_PAUSE)
            await _page(send, 401, _form("That is not the password.", to))
            return
        word = secrets.token_urlsafe(32)
        self.inside.add(word)
        secure = "; Secure" if scope.get("scheme") == "https" else ""
        # Lax, so that a link to a finding in somebody's mail opens it.
        cookie = f"{_COOKIE}={word}; HttpOnly; SameSite=Lax; Path=/{secure}".encode()
        await _page(send, 303, "", (b"location", _own(to).encode()), (b"set-cookie", cookie))


def _home(query: bytes) -> bytes:
    return b"/?" + query if query else b"/"


def _with_headers(send: Send) -> Send:
    async def sending(message: Any) -> None:  # noqa: ANN401 - of ASGI
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *_HEADERS]
        await send(message)

    return sending


async def _page(send: Send, status: int, body: str, *headers: tuple[bytes, bytes]) -> None:
    told = [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store"), *_HEADERS, *headers]
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": body.encode()})


_FRAME = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>RecAudit</title>
<style>body {{ font: 16px/1.5 system-ui, sans-serif; display: grid; place-items: center; min-height: 90vh; margin: 0 }}
form, p {{ max-width: 22rem }} input, button {{ font: inherit; padding: .4rem .7rem; margin: .4rem .4rem .4rem 0 }}
:focus-visible {{ outline: 3px solid #1d5fa8; outline-offset: 2px }}</style><main>{}</main></html>"""
_REFUSED = _FRAME.format("<h1>RecAudit</h1><p>This dashboard opens through its proxy only.</p>")


def _own(to: str) -> str:
    """An address of this dashboard, whatever the form says."""
    # A browser takes a backslash for a slash: `/\\evil` would be another host.
    plain = to.isascii() and to.isprintable() and to.startswith("/") and "//" not in to[:2] and "\\" not in to
    return to if plain else "/"


def _form(wrong: str, to: str) -> str:
    said = f'<p role="alert">{escape(wrong)}</p>' if wrong else ""
    return _FRAME.format(
        f'<form method="post" action="/login"><h1>RecAudit</h1>{said}<label>Password<br>'
        f'<input type="hidden" name="to" value="{escape(_own(to))}">'
        '<input type="password" name="password" autocomplete="current-password" autofocus required></label>'
        "<button>Open</button></form>"
    )
