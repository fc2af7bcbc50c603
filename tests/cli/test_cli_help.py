"""The command line answers at once: what is heavy is imported by the command that needs it."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from cli_workspace import Cli

from audit import __version__
from audit.text import visible

HEAVY = ("torch", "transformers", "pandas", "sqlalchemy", "scipy", "sklearn", "httpx", "alembic")


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["targets", "check", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom audit.cli import main\n"
        f"code = main({arguments!r})\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr.strip() == "[]"


def test_python_m_audit_is_the_command_line() -> None:
    done = subprocess.run([sys.executable, "-m", "audit", "--version"], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == f"recaudit {__version__}"


@pytest.mark.parametrize("arguments", [[], ["targets"], ["assets"]])
def test_a_group_alone_shows_its_help(cli: Cli, arguments: list[str]) -> None:
    called = cli(*arguments)
    assert called.code == 0
    assert "Commands" in called.out


def test_help_lists_every_command(cli: Cli) -> None:
    text = cli("--help").out
    for command in ("init", "run", "resume", "list", "show", "report", "diff", "gate", "plugins"):
        assert f" {command} " in text
    for command in ("store", "targets", "assets", "train", "doctor"):
        assert f" {command} " in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Amélie – 你好 👩\u200d🚀", "Amélie – 你好 👩\u200d🚀"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\u202eb", "a\\u202eb"),
        ("a\rb\x00", "a\\x0db\\x00"),
        ("\udc80", "\\udc80"),
    ],
)
def test_clean_keeps_writing_and_shows_control(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_reader_that_stops_reading_gets_no_complaint() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "audit", "plugins"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert said == ""
    assert process.returncode == 128 + signal.SIGPIPE
