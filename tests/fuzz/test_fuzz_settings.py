"""Configurations, policies and cards: one sentence for whatever is wrong in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from fuzz_inputs import answered_or_refused, fuzzed, mutated, spoiled
from hypothesis import given
from hypothesis import strategies as st

from audit.config import AuditConfig
from audit.config import load as load_config
from audit.guarantee import CARD, MEMBERS, Guarantee, Members
from audit.policy import Policy
from audit.policy import load as load_policy

_AUDIT: dict[str, Any] = {
    "name": "mine",
    "seed": 7,
    "dataset": {"kind": "files", "interactions": "i.csv", "items": "t.csv", "columns": {"user": "u"}, "candidates": 10},
    "target": {"kind": "http", "url": "http://localhost:1", "headers_from_env": {"Authorization": "X"}, "task": "rank"},
    "modules": {"robustness": {"attacks": ["typos", {"name": "cheatagent"}], "defenses": []}, "quality": {}},
    "policy": "default",
    "budget": {"queries": 100, "minutes": 3.5, "usd": None},
    "execution": {"engine": "local", "workers": 2},
    "profile": "quick",
    "level": 0.95,
}
_POLICY: dict[str, Any] = {
    "name": "mine",
    "extends": "default",
    "certainty": True,
    "require": ["quality", {"metric": "quality.hr", "where": {"k": 5}}],
    "rules": [{"metric": "robustness.asr", "where": {"attack": "typos"}, "max": 0.2, "severity": "high"}],
    "waivers": [{"metric": "robustness.asr", "owner": "me", "expires": "2027-01-01", "reason": "known"}],
    "frameworks": [
        {
            "id": "f", "edition": "1", "title": "F",
            "controls": [{"id": "c", "title": "C", "bears": [{"metric": "quality.hr"}]}],
        }
    ],
}  # fmt: skip
_CARD: dict[str, Any] = {
    "unit": "user", "cap": 20, "epsilon": 8.0, "delta": 1e-5, "epsilon_by": {"prv": 7.9}, "target_epsilon": None,
    "noise_multiplier": 1.0, "clip": 1.0, "sample_rate": 0.1, "steps": 100, "expected_batch": 3.0, "units": 30,
    "outside": ["a"], "void": [],
}  # fmt: skip
_MEMBERS: dict[str, Any] = {"inside": ["a", "b"], "outside": ["c"], "canaries": {"inside": {"x": 2}}}
_YAML = (
    "a: &a [*a]",
    "? [1, 2]\n: x",
    "!!python/object/apply:os.system ['true']",
    "dataset: {name: ml-100k}\n<<: {a: 1}\n",
    "a: 2026-99-99",
    "a: 1:99:99\nb: 0o7777777\n",
    "---\na: 1\n---\nb: 2\n",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return path


def test_what_is_spoilt_was_sound(place: Path) -> None:
    """An input that is wrong before anything in it is changed is refused for that alone."""
    assert load_config(_AUDIT)[0].name == "mine"
    assert load_policy(str(written(place, "policy.yaml", yaml.safe_dump(_POLICY))), place).name == "mine"
    for name, told in ((CARD, _CARD), (MEMBERS, _MEMBERS)):
        written(place, name, json.dumps(told))
    assert Guarantee.read(place) is not None
    assert Members.read(place) is not None


@fuzzed
@given(text=spoiled(yaml.safe_dump(_AUDIT), *_YAML), data=mutated(_AUDIT), as_text=st.booleans())
def test_a_configuration_is_read_or_refused(place: Path, text: str, data: Any, as_text: bool) -> None:
    path = written(place, "audit.yaml", text if as_text else json.dumps(data))
    read = answered_or_refused(lambda: load_config(path))
    assert read is None or isinstance(read[0], AuditConfig)
    if isinstance(data, dict):
        answered_or_refused(lambda: load_config(data))


@fuzzed
@given(text=spoiled(yaml.safe_dump(_POLICY), *_YAML), data=mutated(_POLICY), as_text=st.booleans())
def test_a_policy_is_read_or_refused(place: Path, text: str, data: Any, as_text: bool) -> None:
    written(place, "policy.yaml", text if as_text else json.dumps(data))
    read = answered_or_refused(lambda: load_policy("policy.yaml", place))
    assert read is None or isinstance(read, Policy)


@fuzzed
@given(text=spoiled(json.dumps(_CARD), json.dumps(_MEMBERS)), card=mutated(_CARD), members=mutated(_MEMBERS))
def test_cards_are_read_or_refused(place: Path, text: str, card: Any, members: Any) -> None:
    for told in (text, json.dumps(card)):
        written(place, CARD, told)
        read = answered_or_refused(lambda: Guarantee.read(place))
        assert read is None or isinstance(read.holds, bool)
    for told in (text, json.dumps(members)):
        written(place, MEMBERS, told)
        answered_or_refused(lambda: Members.read(place))
