"""Gradients against finite differences of what the target answers, and the places they are attributed to."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers import catalog
from tiny_lms import tiny_model, tiny_tokenizer

from audit.attack import Goal, Objective, feedback_for
from audit.target import GivesGradients, Insight, TokenGradients
from audit.targets.hf import HFTarget
from audit.targets.lm import CausalLM
from audit.targets.prompts import Template
from audit.types import Catalog, Event, Item, Request, User

torch = pytest.importorskip("torch")

YES_NO = Template.plain(
    "{{instruction}} Liked: {{#history|; }}{{title}}{{/history}} Movie: {{#candidate}}{{title}}{{/candidate}} Answer:"
)
LABELS = Template.plain(
    "{{instruction}} Liked: {{#history|; }}{{title}}{{/history}}"
    "{{#candidates}}\n{{label}}. {{title}}{{/candidates}}\nBest"
)
# Each sign stands in one place alone, so that moving its embedding moves that place alone.
HISTORY = (Item("a", "Alien §"), Item("b", "Heat ¶"), Item("c", "Up {title} ‡"))
OFFERED = (Item("d", "Toy Story"), Item("e", "Toy Ω"), Item("f", "System"))
ASKED = Request(
    User("u", tuple(Event(i) for i in HISTORY)), candidates=OFFERED, instruction="The movies ± a user liked"
)


def target(model: object, mode: str = "labels") -> HFTarget:
    """A new target around the model: what it has cached is from before the weights were moved."""
    return HFTarget(
        CausalLM(model, tiny_tokenizer()),
        tasks=("score", "rank"),
        rank_mode=mode,  # type: ignore[arg-type]
        templates={"score": YES_NO, "rank": LABELS if mode == "labels" else YES_NO},
    )


def loss_of(asked: HFTarget, request: Request, relevant: frozenset[str]) -> float:
    """What an adversary reads of the answer."""
    (clean,) = asked.recommend([request])
    goal = Goal.FLIP if request.task == "score" else Goal.DEGRADE
    feedback = feedback_for(asked.info, request, clean, Objective(goal), relevant, Catalog(OFFERED))
    assert feedback is not None
    (answer,) = asked.recommend([feedback.ask(request)])
    return feedback.loss(answer)


def rows(read: TokenGradients, field: str, sign: str, text: str) -> list[int]:
    at = text.index(sign)
    return [i for i, s in enumerate(read.spans) if s.field == field and s.start <= at < s.end and s.end - s.start <= 2]


@pytest.mark.parametrize("case", [("score", "labels"), ("rank", "labels"), ("rank", "score")], ids=str)
@pytest.mark.parametrize(
    ("field", "sign", "text"),
    [
        ("instruction", "±", ASKED.instruction),
        ("history[0].title", "§", HISTORY[0].title),
        ("history[2].title", "‡", HISTORY[2].title),
        ("candidates[1].title", "Ω", OFFERED[1].title),
    ],
)
def test_gradients_are_what_moving_an_embedding_does(case: tuple[str, str], field: str, sign: str, text: str) -> None:
    task, mode = case
    asked, relevant = replace(ASKED, task=task), frozenset({"e"})  # type: ignore[arg-type]
    model = tiny_model(tie_word_embeddings=False).double()
    (read,) = target(model, mode).gradients([asked], [relevant])
    assert read.loss == pytest.approx(loss_of(target(model, mode), asked, relevant), abs=1e-5)
    tokens = tiny_tokenizer()(sign, add_special_tokens=False)["input_ids"]
    found = rows(read, field, sign, text)
    assert 1 <= len(found) <= len(tokens)
    table = model.get_input_embeddings().weight
    direction = np.random.default_rng(0).normal(size=table.shape[1])
    direction /= np.linalg.norm(direction)
    token = tokens[-1]  # the last byte of the sign: in one place of the prompt alone
    ends = [i for i in found if np.allclose(read.embeddings[i], table[token].detach().numpy(), atol=1e-6)]
    assert len(ends) == 1
    eps, losses = 1e-2, []
    for step in (eps, -eps):
        with torch.no_grad():
            table[token] += torch.from_numpy(step * direction)
        losses.append(loss_of(target(model, mode), asked, relevant))
        with torch.no_grad():
            table[token] -= torch.from_numpy(step * direction)
    slope = (losses[0] - losses[1]) / (2 * eps)
    assert float(read.gradients[ends[0]] @ direction) == pytest.approx(slope, rel=5e-3, abs=2e-4)


def test_every_word_that_came_from_the_request_has_its_place() -> None:
    (read,) = target(tiny_model()).gradients([ASKED], [frozenset({"e"})])
    texts = {"instruction": ASKED.instruction}
    texts |= {f"history[{n}].title": item.title for n, item in enumerate(HISTORY)}
    texts |= {f"candidates[{n}].title": item.title for n, item in enumerate(OFFERED)}
    assert {span.field for span in read.spans} == set(texts)
    for field, text in texts.items():
        covered = {i for s in read.spans if s.field == field for i in range(s.start, s.end)}
        assert covered == set(range(len(text)))
    assert read.embeddings.shape == read.gradients.shape == (len(read.spans), 32)


def test_a_token_that_two_candidates_share_counts_for_each() -> None:
    asked = replace(ASKED, task="score")
    (read,) = target(tiny_model()).gradients([asked], [frozenset({"e"})])
    starts = [s for s in read.spans if s.field in ("candidates[0].title", "candidates[1].title") and s.start == 0]
    assert len(starts) == 2  # both titles begin with "Toy"


@pytest.mark.parametrize(
    "asked",
    [
        replace(ASKED, candidates=()),
        replace(ASKED, task="answer"),
        replace(ASKED, instruction="movies " * 600),
    ],
    ids=["no candidates", "no such task", "too long"],
)
def test_a_request_without_a_loss_has_no_tokens(asked: Request) -> None:
    tiny = target(tiny_model())
    (read, other) = tiny.gradients([asked, ASKED], [frozenset({"e"})] * 2)
    assert read.spans == ()
    assert other.spans


def test_an_item_that_is_not_on_offer_has_a_flat_loss() -> None:
    for task in ("rank",):
        (read,) = target(tiny_model()).gradients([replace(ASKED, task=task)], [frozenset({"z"})])
        assert not read.gradients.any()


def test_embeddings_are_those_the_model_reads() -> None:
    tiny = target(tiny_model())
    (read,) = tiny.gradients([ASKED], [frozenset({"e"})])
    last = [i for i, s in enumerate(read.spans) if s.field == "history[1].title"]
    (title,) = tiny.item_embeddings([HISTORY[1]])
    assert np.allclose(title, read.embeddings[last])
    word, nothing = tiny.word_embeddings(["user", ""])
    assert any(np.allclose(word[-1], row) for row in read.embeddings)
    assert len(nothing) <= 1
    assert tiny.word_embeddings([]) == []


def test_only_what_is_differentiable_is_declared() -> None:
    lm = CausalLM(tiny_model(), tiny_tokenizer())
    assert Insight.GRADIENTS in HFTarget(lm, tasks=("score", "answer")).info.reveals
    assert isinstance(HFTarget(lm), GivesGradients)
    for mode in ("generate", "likelihood"):
        assert Insight.GRADIENTS not in HFTarget(lm, tasks=("rank",), rank_mode=mode).info.reveals  # type: ignore[arg-type]
    assert Insight.GRADIENTS not in HFTarget(lm, tasks=("answer",)).info.reveals


# The P5-style target -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("indexing", ["iid", "sid"])
@pytest.mark.parametrize("form", ["decoder", "encoder"])
def test_gradients_of_p5(indexing: str, form: str) -> None:
    from audit.targets.zoo.p5 import P5
    from audit.targets.zoo.p5_indexing import make
    from audit.targets.zoo.p5_model import Hyper, P5Net
    from audit.targets.zoo.p5_vocabulary import SEEN, Vocabulary

    items = catalog(12)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        sequences = [np.roll(np.arange(12), n) for n in range(4)]
        codes = make(indexing, sequences, 12, np.random.default_rng(0))
        net = P5Net(Vocabulary(codes, 8), Hyper(dim=16, heads=2, wide=24, layers=2, far=4, near=2)).eval()
        for table in (net.t5.shared, net.t5.lm_head):
            torch.nn.init.normal_(table.weight, std=1.0)
    p5 = P5(items, net, form)  # type: ignore[arg-type]
    assert isinstance(p5, GivesGradients)
    history = tuple(Event(items[f"i{n}"]) for n in (0, 1, 2, 3))
    asked = Request(User("u", history), instruction=SEEN[0])
    offered = replace(asked, candidates=tuple(items[f"i{n}"] for n in (5, 6, 7)))
    relevant = frozenset({"i6"})
    p5.recommend([asked])  # an answer first: what it caches must not hinder gradients
    for question in (asked, offered):
        read, twin = p5.gradients([question, question], [relevant, relevant])
        assert np.allclose(read.gradients, twin.gradients, atol=1e-4)

        def loss(question: Request = question) -> float:
            whole = tuple(items.items_in_order) if question.candidates is None else question.candidates
            (answer,) = p5.recommend([replace(question, task="score", candidates=whole)])
            scores = {r.item_id: r.score or 0.0 for r in answer.ranked}
            total = 0.0 if question.candidates is None else math.log(sum(math.exp(s) for s in scores.values()))
            return total - scores["i6"]

        assert read.loss == pytest.approx(loss(), abs=1e-4)
        fields = {span.field for span in read.spans}
        assert {"instruction", "history[3]"} <= fields
        row = next(i for i, span in enumerate(read.spans) if span.field == "instruction")
        token = p5.vocabulary.word(SEEN[0].split()[0])
        assert np.allclose(p5.word_embeddings([SEEN[0].split()[0]])[0][0], read.embeddings[row])
        direction = torch.from_numpy(np.random.default_rng(1).normal(size=16)).float()
        direction /= direction.norm()
        eps, losses = 2e-2, []
        for step in (eps, -eps):
            p5.scorer.table[token] += step * direction
            losses.append(loss())
            p5.scorer.table[token] -= step * direction
        slope = (losses[0] - losses[1]) / (2 * eps)
        assert float(read.gradients[row] @ direction.numpy()) == pytest.approx(slope, rel=2e-2, abs=2e-4)
        last = [i for i, span in enumerate(read.spans) if span.field == "history[3]"]
        assert np.allclose(p5.item_embeddings([items["i3"]])[0], read.embeddings[last])
