"""The option `agent`: what it may be, and one sentence for what it may not."""

from __future__ import annotations

import pytest
from helpers import catalog
from tiny_lms import tiny_model, tiny_tokenizer

from attacks.cheatagent import CheatAgent
from attacks.cheatagent.agent import LMAgent
from attacks.rivals.language import writer
from attacks.rivals.llmba import LLMBA
from audit.errors import ConfigError, TargetError
from audit.targets.shared import shared_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("agent")
    tiny_model().save_pretrained(place)
    tiny_tokenizer().save_pretrained(place)
    return place


def test_a_folder_is_loaded_once(folder) -> None:
    one, two = CheatAgent(catalog(), agent=str(folder)), CheatAgent(catalog(30), agent={"model": str(folder)})
    assert isinstance(one.mind, LMAgent)
    assert one.mind.reader is two.mind.reader


def test_the_agent_and_the_rivals_writer_are_one_model(folder) -> None:
    mind = CheatAgent(catalog(), agent=str(folder)).mind
    assert isinstance(mind, LMAgent)
    assert writer(str(folder)).lm is mind.reader.lm


def test_another_number_type_is_another_model(folder) -> None:
    mind = CheatAgent(catalog(), agent={"model": str(folder), "dtype": "bfloat16"}).mind
    assert isinstance(mind, LMAgent)
    assert mind.reader.lm is not shared_model(str(folder), dtype="float32")
    assert mind.reader.lm is shared_model(str(folder), dtype="bfloat16")


@pytest.mark.parametrize("attack", [CheatAgent, LLMBA])
def test_a_folder_without_weights_is_refused_before_anything_is_asked(attack, tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"agent: .* holds no config\.json; give a folder"):
        attack(catalog(), agent=str(tmp_path))
    tiny_tokenizer().save_pretrained(tmp_path)
    tiny_model().config.save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=r"agent: .* holds no safetensors weights"):
        attack(catalog(), agent=str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(TargetError, match="cannot be loaded"):
        shared_model(str(tmp_path))


def test_a_gguf_file_that_the_folder_does_not_hold(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"holds no agent\.gguf"):
        CheatAgent(catalog(), agent=str(tmp_path / "agent.gguf"))


def test_a_folder_without_a_tokenizer(tmp_path) -> None:
    tiny_model().save_pretrained(tmp_path)
    with pytest.raises(TargetError, match="cannot be loaded"):
        _ = CheatAgent(catalog(), agent=str(tmp_path)).mind


def test_a_folder_that_is_not_there(tmp_path) -> None:
    with pytest.raises(TargetError, match="cannot be loaded"):
        _ = CheatAgent(catalog(), agent=str(tmp_path / "nothing")).mind


@pytest.mark.parametrize(
    ("agent", "message"),
    [
        (7, "agent: 7 is no agent; give a folder"),
        ({"kind": "tea"}, "agent.kind: 'tea' must be hf or openai"),
        ({"modle": "x"}, "agent.modle: there is no such option; did you mean 'model'"),
        ({"kind": "openai"}, "agent.model: missing"),
    ],
)
def test_what_is_no_agent(agent, message) -> None:
    with pytest.raises(ConfigError, match=message):
        _ = CheatAgent(catalog(), agent=agent).mind
