"""`audit.yaml`: what it says, what it leaves out, and one sentence for each mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from audit.config import AuditConfig, load
from audit.errors import ConfigError

MINIMAL: dict[str, Any] = {"dataset": {"name": "ml-100k"}}


def check(data: dict[str, Any]) -> AuditConfig:
    return load({**MINIMAL, **data})[0]


def test_what_is_left_out_has_a_default() -> None:
    config = check({})
    assert (config.name, config.seed, config.profile, config.policy, config.level) == (
        "audit",
        7,
        "quick",
        "default",
        0.95,
    )
    assert config.modules is None
    assert config.target is None
    assert config.budget.queries is None
    assert config.dataset.k == 10


@pytest.mark.parametrize(
    ("dataset", "profile", "users"),
    [
        ({}, "quick", 100),
        ({}, "standard", 300),
        ({}, "full", None),
        ({"users": 12}, "full", 12),
        ({"sample": 13}, "quick", 13),
    ],
)
def test_the_profile_says_how_many_users_unless_the_dataset_does(
    dataset: dict[str, Any], profile: Any, users: int | None
) -> None:
    config = check({"dataset": {"name": "ml-100k", **dataset}})
    assert config.dataset.count(profile) == users


def test_own_files_need_no_kind() -> None:
    block = check({"dataset": {"interactions": "a.csv", "items": "b.csv", "users": "c.csv", "sample": 5}}).dataset
    assert (block.kind, block.users_file(), block.count("full")) == ("files", Path("c.csv"), 5)
    assert check(MINIMAL).dataset.users_file() is None


@pytest.mark.parametrize(
    ("modules", "expected"),
    [
        (["quality"], {"quality": {}}),
        (
            {"quality": None, "robustness": {"attacks": ["typos"]}},
            {"quality": {}, "robustness": {"attacks": ["typos"]}},
        ),
        ({}, {}),
    ],
)
def test_modules_are_a_list_or_a_block(modules: Any, expected: dict[str, Any]) -> None:
    assert check({"modules": modules}).modules == expected


def test_options_of_a_target_are_kept_for_its_kind() -> None:
    target = check({"target": {"kind": "http", "url": "http://x", "timeout_s": 3, "version": "2"}}).target
    assert target is not None
    assert target.options == {"url": "http://x", "timeout_s": 3}
    assert target.version == "2"


def test_what_was_stored_reads_as_what_was_written() -> None:
    full = {
        "target": {"kind": "python", "factory": "a:b", "args": {"x": [1]}, "price": {"prompt": 1}},
        "dataset": {"interactions": "a.csv", "items": "b.csv", "columns": {"user": "uid"}},
        "modules": ["quality"],
        "budget": {"minutes": 1.5},
    }
    config = check(full)
    assert check(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"budgets": {}}, "config: budgets: no field has this name; did you mean 'budget'"),
        ({"budget": {"query": 1}}, "config: budget.query: no field has this name; did you mean 'queries'"),
        (
            {"budget": {"queries": 0}},
            "config: budget.queries: 0 does not fit: input should be greater than or equal to 1",
        ),
        ({"budget": {"minutes": float("nan")}}, "budget.minutes: nan does not fit"),
        ({"dataset": {}}, "dataset: name is missing; write name: ml-100k, or kind: files"),
        ({"dataset": "ml-100k"}, "dataset: 'ml-100k' does not fit"),
        (
            {"dataset": {"name": "ml-100k", "candidats": 5}},
            "dataset.candidats: no field has this name; did you mean 'candidates'",
        ),
        ({"dataset": {"kind": "files", "items": "i.csv"}}, "dataset: interactions is missing; kind: files needs"),
        ({"dataset": {"interactions": "a", "items": "b", "users": 5}}, "users: 5 is a number; .* use sample:"),
        ({"dataset": {"name": "ml-100k", "users": "u.csv"}}, "users: 'u.csv' is not a number"),
        ({"dataset": {"name": "ml-100k", "candidates": 1}}, "dataset.candidates: 1 does not fit"),
        ({"target": {}}, "target.kind is missing; add `kind:`"),
        ({"target": {"kind": "pyton"}}, "target.kind: 'pyton' does not fit: .*'python'"),
        ({"target": {"kind": "http", "concurrency": 0}}, "target.concurrency: 0 does not fit"),
        (
            {"target": {"kind": "http", "price": {"promt": 1}}},
            "target.price.promt: no field has this name; did you mean 'prompt'",
        ),
        ({"seed": -1}, "seed: -1 does not fit"),
        ({"seed": "seven"}, "seed: 'seven' does not fit"),
        ({"level": 1}, "level: 1 does not fit"),
        ({"profile": "slow"}, "profile: 'slow' does not fit"),
        ({"modules": "quality"}, "modules: 'quality' does not fit"),
        ({"modules": {"quality": 3}}, "modules.quality: 3 does not fit"),
    ],
)
def test_a_mistake_is_one_sentence_with_field_and_mend(data: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        check(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"dataset: {name: ml-100k}\nseeds: 1\n", "audit.yaml: seeds: no field has this name; did you mean 'seed'"),
        (b"seed: 1\n", "audit.yaml: dataset is missing; add `dataset:`"),
        (b"a: 1\n  b: 2\n", "audit.yaml: line 2: not valid YAML"),
        (b"dataset: [\n", "audit.yaml: line 2: not valid YAML"),
        (b"!!python/object:os.system {}\n", "audit.yaml: line 1: not valid YAML"),
        (b"- 1\n", "audit.yaml: holds list, not a mapping"),
        (b"", "audit.yaml: holds NoneType, not a mapping"),
        (b"\xff\xfe\xff", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "audit.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=said) as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file; `recaudit init` writes one"):
        load(tmp_path / "audit.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)


def test_relative_paths_start_at_the_files_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "audit.yaml").write_text("dataset: {name: ml-100k}")
    assert load(tmp_path / "audit.yaml")[1] == tmp_path.resolve()
    monkeypatch.chdir(tmp_path)
    assert load("audit.yaml")[1] == tmp_path.resolve()
    assert load(MINIMAL)[1] == tmp_path.resolve()
