"""`recaudit dashboard`: the pages over the run store, in a process of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from audit.cli.terminal import StoreOption, open_store, say
from audit.errors import ConfigError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
_PREFIX = "RECAUDIT_DASHBOARD_"
"""As `dashboard.settings` reads it, which nothing in `audit` may import."""


def dashboard(
    store: StoreOption = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to serve on.")] = 8501,
    address: Annotated[
        str, typer.Option(metavar="IP", help="Address to bind to; others than loopback need a door.")
    ] = ("127.0.0.1"),
    headless: Annotated[bool, typer.Option("--headless", help="Do not open a browser.")] = False,
    password_env: Annotated[
        str | None, typer.Option(metavar="NAME", help="Environment variable with the password that visitors give.")
    ] = None,
    user_header: Annotated[
        str | None, typer.Option(metavar="NAME", help="Header in which a proxy in front says who visits.")
    ] = None,
    live: Annotated[
        Path | None,
        typer.Option(metavar="AUDIT.YAML", help="Let visitors ask the target of this configuration; off by default."),
    ] = None,
) -> None:
    """Browse the run store: verdicts, findings, evidence, and two runs side by side."""
    password = _password(password_env)
    if address not in LOOPBACK and password is None and user_header is None:
        raise ConfigError(
            f"--address: {address!r} can be reached by others, who would see every answer in the store; add "
            "--password-env, or --user-header where only a proxy of yours reaches the port, or bind to 127.0.0.1"
        )
    if live is not None:
        _check_live(live)
    _check_free(address, port)
    opened = open_store(store)
    given = {
        "STORE": opened.location,
        "PASSWORD": password,
        "USER_HEADER": user_header,
        "LIVE": None if live is None else str(live.resolve()),
    }
    opened.close()
    # What an earlier dashboard left in this environment is not meant.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_PREFIX)}
    environment |= {_PREFIX + name: value for name, value in given.items() if value is not None}
    command = [sys.executable, "-m", "dashboard", "--address", address, "--port", str(port)]
    shown = f"http://{f'[{address}]' if ':' in address else address}:{port}"
    with subprocess.Popen(command, env=environment) as server:  # noqa: S603 - our own module, no shell
        try:
            if _up(server, address, port):
                say(f"The dashboard is at {shown}; interrupt to end it.")
                if not headless:
                    webbrowser.open(shown)
            code = server.wait()
        except KeyboardInterrupt:
            server.terminate()
            server.wait()
            return
    if code:
        raise ConfigError(f"the dashboard on {shown} ended with code {code}; what it said stands above")


def _password(name: str | None) -> str | None:
    if name is None:
        return None
    if not (found := os.environ.get(name)):
        raise ConfigError(f"--password-env: the environment has no variable {name!r}, or it is empty; export it first")
    return found


def _check_live(path: Path) -> None:
    from audit.config import load

    load(path)


def _check_free(address: str, port: int) -> None:
    try:
        with socket.create_server((address, port), family=_family(address)):
            pass
    except OSError as error:
        why = os.strerror(error.errno).lower() if error.errno else str(error)
        raise ConfigError(f"--port: cannot serve on {address}:{port}: {why}; choose another --port") from error


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _up(server: subprocess.Popen[bytes], address: str, port: int) -> bool:
    """Wait until it listens; False when it ended before."""
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 - what was asked for
    while server.poll() is None:
        try:
            with socket.create_connection((near, port), timeout=2):
                return True
        except OSError:
            time.sleep(0.2)
    return False
