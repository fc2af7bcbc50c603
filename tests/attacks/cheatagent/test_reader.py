"""What is read in one pass is what is read in many: packed candidates, beams as trees, several prefixes."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import torch
from helpers import catalog
from tiny_lms import tiny_tokenizer
from tiny_models import model

from attacks.cheatagent.agent import LMAgent, Propose, Question
from attacks.cheatagent.causal import CausalReader
from attacks.cheatagent.loading import read
from audit.errors import ConfigError
from audit.targets.lm import CausalLM
from audit.types import Catalog, Item

ANSWERS = [(40, 41, 42), (50,), (40, 43), (60, 61, 62, 63), (50,)]


def separately(reader, prefix, prompt, answer) -> torch.Tensor:
    """Mean negative log-likelihood of one answer, by a plain call of the model for it alone."""
    embed = reader.model.get_input_embeddings()
    text = embed(torch.tensor([prompt]))
    before = torch.cat([text[:, : reader.head], prefix[None, None], text[:, reader.head :]], 1)
    if isinstance(reader, CausalReader):
        embedded = torch.cat([before, embed(torch.tensor([answer]))], 1)
        logits = reader.model(inputs_embeds=embedded).logits[0, before.shape[1] - 1 : -1]
        return torch.nn.functional.cross_entropy(logits, torch.tensor(answer))
    return reader.model(inputs_embeds=before, labels=torch.tensor([answer])).loss


def a_prefix(reader, seed: int = 0) -> torch.Tensor:
    width = reader.model.get_input_embeddings().weight.shape[1]
    return torch.randn(width, generator=torch.Generator().manual_seed(seed))


def test_an_update_packs_its_candidates_without_changing_losses_or_gradients(reader) -> None:
    prompt = reader.prompt('Text: "x {y}"\nWhich word?')
    prefix = a_prefix(reader).requires_grad_()
    packed = reader.nll(prefix, prompt, ANSWERS)
    apart = torch.stack([separately(reader, prefix, prompt, list(a)) for a in ANSWERS])
    torch.testing.assert_close(packed, apart, rtol=1e-5, atol=1e-5)
    weights = torch.tensor([1.0, -1.0, -1.0, 1.0, -1.0])
    (one,) = torch.autograd.grad((weights * packed).sum(), prefix)
    (two,) = torch.autograd.grad((weights * apart).sum(), prefix)
    torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)
    assert one.abs().max() > 1e-3


def test_the_weights_are_frozen(reader) -> None:
    assert not any(p.requires_grad for p in reader.model.parameters())


def test_beams_go_on_where_the_prompt_ended(reader) -> None:
    prompt = reader.prompt("Which title?")
    prefixes = torch.stack([a_prefix(reader, s) for s in range(3)])
    with torch.inference_mode():
        state, first = reader.open(prefixes, prompt)
        beams = [(0, (40,)), (0, (50,)), (2, (40,))]
        second = reader.extend(state, beams)
        longer = [(0, (50, 51)), (2, (40, 41)), (2, (40, 42))]
        third = reader.extend(state, longer)
        for (row, path), found in zip([*beams, *longer], [*second, *third], strict=True):
            for token in (45, 55):
                told = [*path, token]
                steps = [first[row, told[0]], *(second[beams.index((row, path[:1]))][[told[1]]] for _ in [0])]
                total = float(steps[0] + steps[1].sum())
                if len(path) == 2:
                    total += float(found[token])
                expected = -len(told) * float(separately(reader, prefixes[row], prompt, told))
                assert total == pytest.approx(expected, abs=2e-4)


def best_by_enumeration(reader, agent: LMAgent, prefix, prompt, banned, count) -> list[str]:
    """All titles up to their cuts, by mean log-probability."""
    paths = {item: path for item, path in agent.titles.paths.items() if item not in banned}
    with torch.inference_mode():
        nll = {item: float(separately(reader, prefix, prompt, list(path))) for item, path in paths.items()}
    return sorted(nll, key=lambda item: nll[item])[:count]


def test_wide_beams_find_the_likeliest_titles(reader) -> None:
    films = Catalog([Item(f"{n}", f"{a} {b}") for n, (a, b) in enumerate(itertools.product("ABC", "DEFG"))])
    agent = LMAgent(reader, films)
    question = Question("Which title?", "item", frozenset({"0", "5"}))
    policies = agent.draw(np.random.default_rng(0), 2)
    found = agent.propose(Propose(question, policies, 10))
    prompt = reader.prompt(question.prompt)
    for policy, beam in zip(policies, found, strict=True):
        expected = best_by_enumeration(reader, agent, policy.prefix, prompt, {"0", "5"}, 10)
        assert [c.what.id for c in beam] == expected


def test_words_are_the_head_of_the_next_token_distribution(reader) -> None:
    agent = LMAgent(reader, catalog())
    (policy,) = agent.draw(np.random.default_rng(0), 1)
    ((*beam,),) = agent.propose(Propose(Question("Which word?", "word"), (policy,), 7))
    prompt = reader.prompt("Which word?")
    with torch.inference_mode():
        nll = {t: float(separately(reader, policy.prefix, prompt, [t])) for t in agent.words}
    assert [c.tokens[0] for c in beam] == sorted(nll, key=lambda t: nll[t])[:7]
    assert all(c.what == c.what.strip() != "" and c.what.isprintable() for c in beam)


def test_prefixes_are_drawn_as_the_embedding_lies(reader) -> None:
    agent = LMAgent(reader, catalog())
    drawn = torch.stack([p.prefix for p in agent.draw(np.random.default_rng(0), 4000)])
    rows = reader.model.get_input_embeddings().weight
    torch.testing.assert_close(drawn.mean(0), rows.mean(0), rtol=0, atol=0.1 * float(rows.std()))
    torch.testing.assert_close(drawn.std(0), rows.std(0), rtol=0.1, atol=0)


@pytest.mark.parametrize(
    ("name", "kind"), [("gpt2", "CausalReader"), ("bloom", "PlainReader"), ("mamba", "PlainReader")]
)
def test_models_that_take_no_trees_read_row_by_row(name, kind) -> None:
    lm = CausalLM(copy.deepcopy(model(name)), tiny_tokenizer())  # other tests share the original
    found = read(lm)
    assert type(found).__name__ == kind
    prefix, prompt = a_prefix(found), found.prompt("Which word?")
    apart = torch.stack([separately(found, prefix, prompt, list(a)) for a in ANSWERS])
    torch.testing.assert_close(found.nll(prefix, prompt, ANSWERS), apart, rtol=1e-4, atol=1e-4)
    films = Catalog([Item(f"{n}", f"{a} {b}") for n, (a, b) in enumerate(itertools.product("AB", "DEF"))])
    agent = LMAgent(found, films)
    (policy,) = agent.draw(np.random.default_rng(0), 1)
    ((*beam,),) = agent.propose(Propose(Question("Which word?", "item"), (policy,), 6))
    assert [c.what.id for c in beam] == best_by_enumeration(found, agent, policy.prefix, prompt, set(), 6)


def test_a_masked_language_model_is_no_agent() -> None:
    from transformers import BertConfig, BertForMaskedLM

    tiny = BertConfig(vocab_size=480, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    with pytest.raises(ConfigError, match=r"agent: a masked language model .* writes no text"):
        read(CausalLM(BertForMaskedLM(tiny), tiny_tokenizer()))
