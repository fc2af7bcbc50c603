"""What counts as a secret, and in which spellings it is found."""

from __future__ import annotations

import base64
import json
import time
from urllib.parse import quote

import pytest

from audit import redaction
from audit.redaction import is_telling, look_around, redact, redact_values, register
from audit.text import markdown, one_line, visible

KEY = 'sk-test/91"é+x7Qz'


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_registered", set())
    monkeypatch.setattr(redaction, "_pattern", None)


@pytest.mark.parametrize(
    "told",
    [
        KEY,
        json.dumps({"a": [KEY]}),
        json.dumps({"a": [KEY]}, ensure_ascii=False),
        json.dumps(KEY).replace("/", "\\/"),
        f"https://host/?key={quote(KEY, safe='')}",
        f"Basic {base64.b64encode(KEY.encode()).decode()}",
        repr({"headers": KEY}),
        f"{KEY}{KEY}",
    ],
)
def test_a_secret_is_found_however_it_is_spelt(told: str) -> None:
    assert redact(told) == told
    register(f"Bearer {KEY}")
    hidden = redact(told)
    assert "[secret]" in hidden
    assert "test/91" not in hidden
    assert "x7Qz" not in hidden


def test_what_is_shown_and_what_is_json_hold_no_secret() -> None:
    register("k9-secret-value")
    for show in (visible, one_line, markdown):
        assert "k9-secret" not in show("it was k9-secret-value!")
    told = {"a k9-secret-value": ["x k9-secret-value", 1, None, {"b": ("k9-secret-value",)}]}
    assert redact_values(told) == {"a [secret]": ["x [secret]", 1, None, {"b": ["[secret]"]}]}


def test_digits_of_a_secret_stay_in_numbers() -> None:
    register("123456")
    assert redact_values({"n": 0.123456, "s": "123456"}) == {"n": 0.123456, "s": "[secret]"}


def test_a_secret_that_begins_another_hides_neither_half() -> None:
    register("secret-9")
    register("secret-9-longer")
    assert redact("secret-9-longer secret-9") == "[secret] [secret]"


def test_short_secrets_are_no_secrets() -> None:
    register("five5")
    assert redact("five5") == "five5"


@pytest.mark.parametrize(
    "name",
    [
        "OPENAI_API_KEY",
        "HF_TOKEN",
        "PGPASSWORD",
        "DB_PASSWORD",
        "AWS_SECRET_ACCESS_KEY",
        "my_secret",
        "APIKEY",
        "KEY_2",
    ],
)
def test_variables_that_say_so_hold_secrets(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "v4lue-of-it")
    look_around()
    assert redact("v4lue-of-it") == "[secret]"
    monkeypatch.delenv(name)
    look_around()
    assert redact("v4lue-of-it") == "v4lue-of-it"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOKENIZERS_PARALLELISM", "false-but-1-long"),
        ("KEYBOARD", "us-105-keys"),
        ("MONKEY", "banana-1234"),
        ("SSH_KEY", "/home/me/.ssh/id_ed25519"),
        ("DB_PASSWORD", "postgres"),
        ("MAX_TOKEN", "4096"),
    ],
)
def test_other_variables_do_not(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    look_around()
    assert redact(f"a {value} b") == f"a {value} b"


def test_a_word_does_not_tell() -> None:
    assert not is_telling("postgres")
    assert is_telling("correct horse battery")
    assert is_telling("p4ssw0rd")


def test_long_texts_take_no_time() -> None:
    for n in range(20):
        register(f"sk-{n}-0123456789abcdef")
    started = time.process_time()
    redact("sk-" * 400_000)
    assert time.process_time() - started < 1.0
