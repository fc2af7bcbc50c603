"""Text drawn at random: the right distribution, repeatable draws, and nothing that depends on the batch."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from tiny_lms import tiny_model, tiny_tokenizer

from audit.errors import ConfigError
from audit.target import Randomised
from audit.targets.hf import HFTarget
from audit.targets.lm import CausalLM
from audit.targets.sampling import Draw, Sampling
from audit.targets.seq2seq import Seq2SeqLM
from audit.targets.zoo import smollm2_ranker
from audit.types import Catalog, Event, Item, Request, User, canonical_json

FILMS = (Item("1", "Alien (1979)"), Item("2", "Heat (1995)"), Item("3", "Up (2009)"))


def ask(task: str = "answer", history: int = 2, **fields) -> Request:
    events = tuple(Event(item) for item in FILMS[:history])
    return Request(User("u", events), task=task, instruction="the best item is", **fields)


def built(**options) -> HFTarget:
    return HFTarget(CausalLM(tiny_model(), tiny_tokenizer()), catalog=Catalog(FILMS), max_new_tokens=12, **options)


def texts(target: HFTarget, requests, draws) -> list[str]:
    return [answer.text for answer in target.recommend_draws(requests, draws)]


def chi_square_p(observed: np.ndarray, expected: np.ndarray) -> float:
    """Cells of fewer than five expected are one cell."""
    from scipy.stats import chisquare

    common = expected >= 5
    seen = np.append(observed[common], observed[~common].sum())
    hoped = np.append(expected[common], expected[~common].sum())
    if hoped[-1] == 0:
        assert seen[-1] == 0
        seen, hoped = seen[:-1], hoped[:-1]
    return float(chisquare(seen, hoped * (seen.sum() / hoped.sum())).pvalue)


@pytest.mark.parametrize(("temperature", "top_p"), [(0.7, 1.0), (1.5, 1.0), (1.0, 0.8)])
def test_a_token_is_drawn_as_the_softmax_says(temperature, top_p):
    lm = CausalLM(tiny_model(), tiny_tokenizer())
    (prompt,) = lm.encode(["Toy Story (1995); Up"])
    count = 4000
    sampling = Sampling(temperature, top_p)
    draws = [sampling.draw(prompt, i, 1) for i in range(count)]
    found = lm.generate([prompt] * count, max_new_tokens=1, batch_size=count, draws=draws)
    ends = sorted(lm._ends)
    observed = np.bincount([tokens[0] if tokens else ends[0] for tokens in found], minlength=480)

    with torch.inference_mode():
        logits = lm.model(torch.tensor([prompt])).logits[0, -1].double().numpy() / temperature
    exact = np.exp(logits - logits.max())
    exact /= exact.sum()
    if top_p < 1:
        order = np.argsort(-exact)
        size = int(np.searchsorted(np.cumsum(exact[order]), top_p)) + 1
        kept = np.zeros_like(exact)
        kept[order[:size]] = exact[order[:size]]
        exact = kept / kept.sum()
    assert set(np.flatnonzero(observed)) <= set(np.flatnonzero(exact)) | set(ends)
    assert chi_square_p(observed, exact * count) > 0.001


def test_the_nucleus_holds_the_mass_it_should_and_no_token_more():
    probabilities = torch.tensor([0.1, 0.5, 0.05, 0.3, 0.05])
    uniforms = (np.arange(2000) + 0.5) / 2000
    for top_p, kept in ((0.45, [1]), (0.55, [1, 3]), (0.85, [0, 1, 3]), (1.0, [0, 1, 2, 3, 4])):
        draw = Draw(Sampling(1.0, top_p), uniforms)
        shares = np.bincount([draw.token(probabilities.log(), step) for step in range(2000)], minlength=5) / 2000
        assert np.flatnonzero(shares).tolist() == kept
        expected = np.where(np.isin(range(5), kept), probabilities.numpy(), 0)
        np.testing.assert_allclose(shares, expected / expected.sum(), atol=0.002)


def test_a_nucleus_wider_than_the_first_look_is_found_whole():
    logits = torch.zeros(5000)
    draw = Draw(Sampling(1.0, 0.9), np.linspace(0, 0.9999, 500))
    assert len({draw.token(logits, step) for step in range(500)}) > 450


def test_a_low_temperature_is_the_likeliest_token():
    drawn, greedy = built(temperature=1e-4), built()
    assert texts(drawn, [ask()], [3]) == [greedy.recommend([ask()])[0].text]


@pytest.mark.parametrize("shared", [True, False])
def test_a_draw_is_the_same_in_any_batch_and_draws_differ(shared):
    target = built(temperature=1.0, batch_size=3)
    assert target.lm.engine.works
    target.lm.engine.__dict__["_probed"] = (shared, "")
    requests = [ask(history=n) for n in (1, 2, 3) for _ in range(3)]
    draws = [0, 1, 2] * 3
    together = texts(target, requests, draws)
    assert texts(target, requests[::-1], draws[::-1])[::-1] == together
    assert [texts(target, [r], [d])[0] for r, d in zip(requests, draws, strict=True)] == together
    assert len(set(together)) == 9
    assert [a.text for a in target.recommend(requests[:1])] == together[:1]


def test_draws_in_bfloat16_do_not_depend_on_the_batch(tiny_folder):
    target = HFTarget(str(tiny_folder), dtype="bfloat16", temperature=0.9, top_p=0.95, max_new_tokens=12)
    requests = [ask(history=n % 4) for n in range(8)]
    together = texts(target, requests, range(8))
    assert together == [texts(target, [r], [n])[0] for n, r in enumerate(requests)]


def test_the_plain_way_draws_what_the_engine_draws():
    target = built(temperature=0.8, top_p=0.9)
    assert target.lm.engine.works
    shared = texts(target, [ask()] * 4, range(4))
    target.lm.engine.__dict__["_probed"] = (False, "")
    assert texts(target, [ask()] * 4, range(4)) == shared


def test_draws_of_a_request_are_independent():
    """The first tokens of two draws agree as often as chance has it."""
    lm = CausalLM(tiny_model(), tiny_tokenizer())
    prompts = lm.encode([f"{a} {b}" for a in "ABCDEFGHIJKLMNOP" for b in "ABCDEFGHIJKLMNOP"])
    sampling = Sampling(0.5)
    logits = [rows[0] for rows in lm.next_logits([[p] for p in prompts])]
    first, second = (
        [sampling.draw(p, n, 1).token(row, 0) for p, row in zip(prompts, logits, strict=True)] for n in (0, 1)
    )
    chance = np.array([float((row.double() / 0.5).softmax(0).square().sum()) for row in logits])
    agree = np.mean([a == b for a, b in zip(first, second, strict=True)])
    assert abs(agree - chance.mean()) < 4 * np.sqrt((chance * (1 - chance)).sum()) / len(prompts)
    uniforms = np.array([[sampling.draw(p, n, 1).uniforms[0] for n in (0, 1)] for p in prompts])
    assert abs(np.corrcoef(uniforms.T)[0, 1]) < 4 / np.sqrt(len(prompts))


def test_a_longer_draw_begins_like_a_shorter_one():
    sampling = Sampling(1.0)
    assert sampling.draw([1, 2], 3, 20).uniforms[:5].tolist() == sampling.draw([1, 2], 3, 5).uniforms.tolist()


def test_draws_of_one_prompt_are_read_once():
    target = built(temperature=1.0)
    assert target.lm.engine.works
    runner, passes = target.lm.engine.runner, []
    forward = runner.forward

    def counted(ids, positions, segments):
        passes.append(len(ids))
        return forward(ids, positions, segments)

    runner.forward = counted
    runner.cache.clear()
    target.recommend_draws([ask()], [0])
    alone = passes[0]
    passes.clear()
    runner.cache.clear()
    target.recommend_draws([ask()] * 8, range(8))
    assert passes[0] == alone
    assert max(passes[1:]) == 8


def test_the_declaration_says_that_it_draws(tiny_folder):
    def of(**options) -> HFTarget:
        return HFTarget(str(tiny_folder), catalog=Catalog(FILMS), **options)

    plain, drawn = of(), of(temperature=0.7)
    assert not plain.info.randomised
    assert drawn.info.randomised
    assert isinstance(drawn, Randomised)
    prints = [t.info.fingerprint for t in (plain, drawn, of(temperature=0.8), of(temperature=0.7, top_p=0.9))]
    assert len(set(prints)) == 4
    assert of(top_p=0.9).info.fingerprint == plain.info.fingerprint
    # Scores are read, not drawn.
    scores = {"tasks": ("rank", "score"), "rank_mode": "labels"}
    assert not of(temperature=0.7, **scores).info.randomised
    assert of(temperature=0.7, **scores).info.fingerprint == of(**scores).info.fingerprint


def test_what_draws_nothing_keeps_the_fingerprint_of_its_stored_answers(tiny_folder):
    target = HFTarget(str(tiny_folder), catalog=Catalog(FILMS))
    sources = {task: [mode, target._templates[task].source] for task, mode in target._modes.items()}
    before = ["hf", target.lm.identity, sources, ["greedy", 160, False, ["Yes", "No"]], str(target.lm.dtype)]
    expected = hashlib.sha256(canonical_json([*before, Catalog(FILMS).digest]).encode()).hexdigest()
    assert target.info.fingerprint == expected


def test_scores_are_the_same_in_every_draw():
    target = built(temperature=1.0)
    request = ask("rank", candidates=FILMS)
    first, second = target.recommend_draws([request] * 2, [0, 1])
    assert first.ranked == second.ranked


def test_an_encoder_decoder_model_draws_too():
    from transformers import T5Config, T5ForConditionalGeneration

    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = T5Config(
            vocab_size=480,
            d_model=32,
            d_kv=8,
            d_ff=48,
            num_layers=1,
            num_heads=4,
            pad_token_id=0,
            decoder_start_token_id=0,
        )
        lm = Seq2SeqLM(T5ForConditionalGeneration(config), tiny_tokenizer())
    (prompt,) = lm.encode(["the movies"])
    draws = [Sampling(1.0).draw(prompt, n, 6) for n in range(4)]
    found = lm.generate([prompt] * 4, max_new_tokens=6, draws=draws)
    assert len({tuple(t) for t in found}) > 1
    assert lm.generate([prompt], max_new_tokens=6, draws=draws[2:3]) == found[2:3]


def test_numbers_outside_their_range_are_refused():
    with pytest.raises(ConfigError, match=r"target.temperature: -1 must be 0"):
        built(temperature=-1)
    for top_p in (0, 1.2):
        with pytest.raises(ConfigError, match=r"target.top_p: .* must be above 0 and at most 1"):
            built(top_p=top_p)


def test_the_reference_ranker_passes_them_on(tiny_folder, monkeypatch):
    monkeypatch.setattr("audit.targets.zoo.smollm2.folder", lambda: tiny_folder)
    assert smollm2_ranker.build(temperature=0.7, top_p=0.9, batch_size=64).info.randomised
    assert not smollm2_ranker.build().info.randomised
