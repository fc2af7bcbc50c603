from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file

from audit.data.dataset import Dataset
from audit.data.splits import leave_one_out
from audit.edits import zone_of
from audit.errors import ConfigError, TargetError
from audit.targets.zoo import p5
from audit.targets.zoo.p5_indexing import make
from audit.targets.zoo.p5_model import Hyper, P5Net, save
from audit.targets.zoo.p5_vocabulary import Vocabulary, pieces
from audit.targets.zoo.pod import ARCHITECTURE, POD, build
from audit.targets.zoo.pod_explanations import LONGEST, Facts, Told, joined, read, written
from audit.targets.zoo.pod_prompts import EXPLAIN, LIST, RECOMMEND, Job
from audit.targets.zoo.pod_training import backward, batches, train, users_of, words_of
from audit.types import Catalog, Item, Request, User

SMALL = Hyper(
    dim=32, heads=1, wide=64, layers=2, far=6, near=4, targets=8, samples=256, batch=32, epochs=3, buckets=16,
    soft=9, whole_words=32,
)  # fmt: skip


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def untrained(world: Dataset, scheme: str = "hid", hyper: Hyper = SMALL) -> P5Net:
    """A network with weights large enough that every part of it matters."""
    indexing = make(scheme, list(leave_one_out(world).train.values()), len(world.catalog), rng())
    torch.manual_seed(0)
    vocabulary = Vocabulary(indexing, hyper.buckets, words_of(Facts(world.catalog)), hyper.soft)
    net = P5Net(vocabulary, hyper).eval()
    with torch.no_grad():
        for weight in net.parameters():
            weight += torch.randn_like(weight) * 0.1
        net.whole_words.weight[0] = 0  # type: ignore[union-attr]
    return net


@pytest.fixture(scope="module")
def target(world: Dataset) -> POD:
    return POD(world.catalog, untrained(world))


def asked(world: Dataset, **changes: object) -> Request:
    request = Request(User("u", world.events("001")[:9]), instruction=RECOMMEND[0])
    return replace(request, **changes)  # type: ignore[arg-type]


def by_hand(target: POD, words: str, items: list[int], job: int) -> torch.Tensor:
    """Input embeddings as the paper puts them together: task vectors, then tokens with their whole-word embeddings."""
    net, vocabulary = target.net, target.vocabulary
    table = net.t5.shared.weight
    whole = net.whole_words.weight  # type: ignore[union-attr]
    first = vocabulary.first_soft
    rows = [table[first + 3 * job + i] for i in range(3)]
    rows += [table[token] for token in target.prompts.words(words)]
    for number, item in enumerate(items, 1):
        rows += [table[token] + whole[number] for token in vocabulary.item_tokens[item].tolist()]
    return torch.stack([*rows, table[vocabulary.END]])[None]


def item_log_probs(target: POD, embedded: torch.Tensor, prefix: list[int]) -> list[float]:
    """Of every item, by the library's own T5 and teacher forcing."""
    net, vocabulary = target.net, target.vocabulary
    tokens = vocabulary.item_tokens
    start = [vocabulary.START, *tokens[prefix].ravel().tolist()]
    lines = torch.tensor([[*start, *line[:-1].tolist()] for line in tokens[:-1]])
    memory = net.t5.encoder(inputs_embeds=embedded)[0].expand(len(lines), -1, -1)
    states = net.t5.decoder(input_ids=lines, encoder_hidden_states=memory)[0]
    every = torch.arange(len(lines))
    total = torch.zeros(len(lines), dtype=torch.float64)
    for level in range(vocabulary.indexing.depth):
        values = net.logits(states[:, len(start) - 1 + level], level).double().log_softmax(-1)
        total += values[every, torch.from_numpy(vocabulary.indexing.codes[:, level])]
    found: list[float] = total.tolist()
    return found


# The network


@pytest.mark.parametrize("scheme", ["hid", "iid"])
def test_scores_are_those_of_vectors_words_and_whole_words_put_together_by_hand(world: Dataset, scheme: str) -> None:
    target = POD(world.catalog, untrained(world, scheme))
    history = [world.index[event.item.id] for event in world.events("001")[:9]]
    with torch.inference_mode():
        after = item_log_probs(target, by_hand(target, RECOMMEND[1], history[:5], Job.NEXT), history[5:])
    np.testing.assert_allclose(target.score([np.array(history)], RECOMMEND[1])[0], after, atol=1e-5)
    candidates = world.catalog.items_in_order[40:47]
    answer = target.recommend([asked(world, candidates=candidates)])[0]
    with torch.inference_mode():
        picked = item_log_probs(target, by_hand(target, RECOMMEND[0], list(range(40, 47)), Job.PICK), history[5:])
    assert {e.item_id: pytest.approx(picked[world.index[e.item_id or ""]], abs=1e-5) for e in answer.ranked} == {
        e.item_id: e.score for e in answer.ranked
    }


def test_a_sentence_is_the_likeliest_word_after_word(world: Dataset, target: POD) -> None:
    history = [world.index[event.item.id] for event in world.events("002")[:5]]
    net, vocabulary = target.net, target.vocabulary
    with torch.inference_mode():
        memory = net.t5.encoder(inputs_embeds=by_hand(target, EXPLAIN[1], [17, *history], Job.EXPLAIN))[0]
        said = [vocabulary.START]
        while len(said) <= LONGEST:
            state = net.t5.decoder(input_ids=torch.tensor([said]), encoder_hidden_states=memory)[0][0, -1]
            logits = state @ net.t5.lm_head.weight[: vocabulary.first_bucket].T
            logits[[vocabulary.START, vocabulary.UNKNOWN]] = -torch.inf
            said.append(int(logits.argmax()))
            if said[-1] == vocabulary.END:
                break
    words = [vocabulary.words[token - 3] for token in said[1:] if token != vocabulary.END]
    prompt = target.prompts.explain(17, history, EXPLAIN[1])
    other = target.prompts.explain(17, history[1:], "")
    assert target.explanations([other, prompt, other])[1] == written(words)
    assert words


def test_tasks_share_a_network_and_differ_in_three_vectors(target: POD) -> None:
    lines = [list(target.prompts.soft(job)) for job in Job]
    assert sorted(itertools.chain(*lines)) == list(
        range(target.vocabulary.first_soft, target.vocabulary.first_soft + 9)
    )
    words = {target.vocabulary.word(w) for w in ("user", "item", "zxqv", "?")}
    items = set(target.vocabulary.item_tokens[:-1].ravel().tolist())
    assert not set(itertools.chain(*lines)) & (words | items)


# Training samples


def test_a_batch_holds_one_task_and_says_what_the_task_asks_for(world: Dataset) -> None:
    net = untrained(world, hyper=replace(SMALL, unknown=0.0))
    facts, users = Facts(world.catalog), users_of(world, leave_one_out(world).train)
    vocabulary, first = net.vocabulary, net.vocabulary.blocks[0][0]
    item_of = {tuple(line): i for i, line in enumerate(vocabulary.item_tokens.tolist())}
    names = {vocabulary.word(word): word for word in vocabulary.words}
    mine = {frozenset(user.items.tolist()) for user in users}
    seen, wordless = dict.fromkeys(Job, 0), 0
    for inputs, prefix, answer, job in batches(net, users, facts, rng()):
        seen[job] += len(inputs)
        for line, start, told in zip(inputs.tolist(), prefix.tolist(), answer.tolist(), strict=True):
            assert tuple(line[:3]) == tuple(vocabulary.first_soft + 3 * job + i for i in range(3))
            wordless += vocabulary.first_soft + 9 <= line[3] or line[3] == vocabulary.END
            tokens = [token for token in line if token >= first]
            items = [item_of[pair] for pair in zip(tokens[::2], tokens[1::2], strict=True)]
            if job is Job.EXPLAIN:
                words = [names[token] for token in told if token > vocabulary.UNKNOWN]
                sentence = read(written(words))
                assert sentence is not None
                item, *history = items
                if sentence.liked:
                    assert sentence.liked in facts.liked(history)
                    assert sentence.liked in facts.genres[item]
                assert sentence.genre in facts.genres[item]
                assert sentence.year == facts.years[item]
                assert [t for t in told if t >= 0][-1] == vocabulary.END
                continue
            codes = [code for code in told if code >= 0]
            right = [
                item_of[(c + first, d + vocabulary.blocks[1][0])] for c, d in zip(codes[::2], codes[1::2], strict=True)
            ]
            shown = [token for token in start[1:] if token >= first]
            if job is Job.PICK:
                assert len(right) == 1
                assert right[0] in items
                assert 2 <= len(items) <= LIST
                owners = [own for own in mine if right[0] in own and own & set(items) == {right[0]}]
                assert owners  # the others are none that the user had
            else:
                assert any(set(items) | set(right) <= own for own in mine)
                assert len(shown) == 2 * len(right) - 1
    assert seen == {Job.NEXT: 256, Job.PICK: 128, Job.EXPLAIN: 128}
    assert 0.2 < wordless / 512 < 0.4


def test_held_out_items_are_in_no_sample(world: Dataset) -> None:
    # With other held-out items for every user, the batches stay the same to the last number.
    frame = world.interactions.copy()
    for user in world.user_ids:
        rows = world.rows(user)[-2:]
        frame.loc[rows, "item"] = frame.loc[rows[::-1], "item"].to_numpy()
    net, drawn = untrained(world), []
    for data in (world, replace(world, interactions=frame)):
        users = users_of(data, leave_one_out(data).train)
        drawn.append(list(batches(net, users, Facts(data.catalog), rng(1))))
    for one, two in zip(*drawn, strict=True):
        assert one[3] is two[3]
        assert all(torch.equal(a, b) for a, b in zip(one[:3], two[:3], strict=True))


def test_a_task_trains_its_own_vectors_and_no_others(world: Dataset) -> None:
    net = untrained(world)
    users, first = users_of(world, leave_one_out(world).train), net.vocabulary.first_soft
    for batch in list(batches(net, users, Facts(world.catalog), rng()))[:6]:
        net.zero_grad()
        assert backward(net, *batch) > 0
        moved = net.t5.shared.weight.grad[first : first + 9].norm(dim=1) > 0  # type: ignore[index]
        assert moved.tolist() == [row // 3 == batch[3] for row in range(9)]


# Sentences


def test_a_sentence_says_what_history_and_catalogue_say() -> None:
    items = [
        Item("a", "A", attributes={"genres": ("Sci-Fi", "Children's"), "year": 1995}),
        Item("b", "B", attributes={"genres": ("Sci-Fi",), "year": 1977}),
        Item("c", "C", attributes={"genres": "Drama"}),
        Item("d", "1984"),
        Item("e", "E", attributes={"genres": ("Action",), "year": 1984}),
    ]
    facts = Facts(Catalog(items))
    assert facts.liked([0, 1, 2]) == ("sci-fi", "children's", "drama")  # by count, then by name
    assert facts.liked([]) == facts.liked([3, 99]) == ()
    assert facts.sentence([1, 1], 0, 0) == "you like sci-fi, and this is a sci-fi film from 1995"
    assert facts.sentence([2], 4, 0) == "this is an action film from 1984, unlike most of what you have watched"
    assert facts.sentence([2], 2, 1) == "this is a drama film, and you like drama"
    assert facts.sentence([], 1, 5) == "this is a sci-fi film from 1977"
    assert facts.sentence([0], 3, 0) == "this follows from what you have watched"
    vocabulary = set(facts.words())
    for history, item, wording in itertools.product(([], [0], [1, 2]), range(5), range(2)):
        sentence = facts.sentence(history, item, wording)
        words = [word for word, _ in pieces(sentence)]
        assert set(words) <= vocabulary
        assert joined(words) == sentence
        told = read(written(words))
        assert told is not None
        assert told.year == (facts.years[item] if facts.genres[item] else None)
        assert (told.genre in facts.genres[item]) if facts.genres[item] else told.genre is None
    assert read("You like drama, and this is a western film.") == Told("drama", "western", None)
    assert read("A good film.") is None
    assert written([]) == ""


# Answers


def test_free_text_explains_what_it_is_given_or_what_it_would_recommend(world: Dataset, target: POD) -> None:
    items = (*world.catalog.items_in_order[3:5], Item("x", "X\n<b>"), world.catalog.items_in_order[3])
    given = asked(world, task="answer", instruction=EXPLAIN[0], candidates=items)
    open_ = asked(world, task="answer", instruction=EXPLAIN[0], k=3)
    one, two = target.recommend([given, open_])
    assert one.ids == tuple(item.id for item in items)
    assert one.ranked[0].reason == one.ranked[3].reason
    assert one.ranked[2].reason == "This item is not in the catalogue."
    assert two.ids == target.recommend([asked(world, instruction="", k=3)])[0].ids
    for answer in (one, two):
        assert answer.text == "\n".join(f"{i}. {e.title}: {e.reason}" for i, e in enumerate(answer.ranked, 1))
        assert all(entry.reason for entry in answer.ranked)
    assert [a.usage.prompt_tokens for a in (one, two)] == target.count_tokens([given, open_])
    nothing = target.recommend([asked(world, task="answer", candidates=()), asked(world, task="answer", k=0)])
    assert [(a.outcome, a.text) for a in nothing] == [("ok", ""), ("ok", "")]


def test_answers_do_not_depend_on_the_batch(world: Dataset, target: POD) -> None:
    draw, catalog = rng(), world.catalog.items_in_order
    requests = []
    for number in range(36):
        events = world.events(world.user_ids[number % 50])[: draw.integers(0, 12)]
        count = int(draw.choice([1, 5, LIST, LIST + 5]))
        items = tuple(catalog[i] for i in draw.choice(len(catalog), size=count, replace=False))
        task = ("rank", "score", "answer")[number % 3]
        offered = items if task == "score" or draw.random() < 0.5 else None
        requests.append(Request(User("u", events), task, str(draw.choice(["", *RECOMMEND])), offered, k=4))  # type: ignore[arg-type]
    together = target.recommend(requests)
    for request, expected in zip(requests, together, strict=True):
        alone = target.recommend([request])[0]
        assert alone.outcome == "ok"
        assert alone.ids == expected.ids
        assert alone.text == expected.text
        if request.task != "answer":
            np.testing.assert_allclose(alone.scores, expected.scores, atol=1e-5)  # type: ignore[arg-type]


def test_the_list_is_read_up_to_twenty_and_no_further(world: Dataset, target: POD) -> None:
    catalog = world.catalog.items_in_order
    short, long = catalog[:LIST], catalog[: LIST + 1]

    def scores(items: tuple[Item, ...]) -> dict[str | None, float | None]:
        answer = target.recommend([asked(world, candidates=items, k=99)])[0]
        return dict(zip(answer.ids, answer.scores, strict=True))

    # The order, the members and a doubled member of a short list are seen; those of a long one are not.
    for changed in (short[::-1], (*short[:-1], catalog[50]), (*short[:-1], short[0])):
        other = scores(changed)
        assert max(abs(other[i] - s) for i, s in scores(short).items() if i in other) > 1e-3  # type: ignore[operator]
    after = target.score([np.array([world.index[e.item.id] for e in world.events("001")[:9]])])[0]
    for items in (long, long[::-1]):
        found = scores(items)
        np.testing.assert_allclose([found[i.id] for i in long], after[: LIST + 1], atol=1e-5)
    scored = target.recommend([asked(world, task="score", candidates=short)])[0]
    np.testing.assert_allclose(scored.scores, after[:LIST], atol=1e-5)  # type: ignore[arg-type]


def test_the_prompt_its_text_and_its_length_agree(world: Dataset, target: POD) -> None:
    items = (*world.catalog.items_in_order[:3], Item("new", "New"))
    short = replace(asked(world), user=User("u", world.events("001")[:2]))
    for request in (
        asked(world), asked(world, candidates=items), asked(world, candidates=()), short, asked(world, instruction=""),
        asked(world, task="score", candidates=items), asked(world, task="answer", candidates=items[:1]),
    ):  # fmt: skip
        encoded, rendered = target.encode_prompt(request), target.render(request)
        if request.task != "answer":
            words, far, near = target.prompts.prompt(request)
            table = target.vocabulary.item_tokens
            read_ = [*words, *table[list(far)].ravel().tolist(), target.vocabulary.END]
            assert [t.number for t in encoded.encoder] == read_
            assert [t.number for t in encoded.decoder] == [0, *table[list(near)].ravel().tolist()]
        assert target.count_tokens([request]) == [len(encoded.encoder) + len(encoded.decoder)]
        fields = list(dict.fromkeys(t.field for t in (*encoded.encoder, *encoded.decoder) if t.field))
        assert list(dict.fromkeys(span.field for span in rendered.spans)) == fields
        assert all(zone_of(field) for field in fields)
        for span in rendered.spans:
            if span.field == "instruction":
                assert rendered.text[span.start : span.end] == request.instruction
    text = target.render(asked(world, candidates=items)).text
    assert text.startswith(f"<pick_1> <pick_2> <pick_3> {RECOMMEND[0]} ")
    assert "<unknown>" in text


def test_gradients_are_those_of_the_list_that_was_read(world: Dataset, target: POD) -> None:
    items = world.catalog.items_in_order[10:16]
    request = asked(world, candidates=items)
    found = target.gradients([request], [frozenset({items[2].id})])[0]
    scores = dict(zip(*(lambda a: (a.ids, a.scores))(target.recommend([request])[0]), strict=True))
    values = torch.tensor([scores[item.id] for item in items], dtype=torch.float64)
    assert found.loss == pytest.approx(float(values.logsumexp(0) - values[2]), abs=1e-5)
    assert {span.field for span in found.spans} >= {"instruction", "candidates", "history[8]"}
    assert (np.abs(found.gradients).sum(1) > 0).all()


# Bad input


def test_without_weights_it_says_how_to_train_some(world: Dataset) -> None:
    with pytest.raises(ConfigError, match="weights: none are shipped for 'pod'; train them with `recaudit train pod`"):
        build(world)


def test_weights_of_another_kind_are_refused_both_ways(world: Dataset, tmp_path: Path) -> None:
    net = untrained(world)
    save(net, list(world.catalog), tmp_path, ARCHITECTURE)
    with pytest.raises(TargetError, match=r"p5: .* holds weights of 'POD-mini', not of 'P5-mini'; name another folder"):
        p5.build(world, tmp_path)
    assert build(world, tmp_path).info.name == "pod"
    with pytest.raises(TargetError, match=r"pod: .* was trained on 119 items that this catalogue lacks.* train pod"):
        POD.load(tmp_path, Catalog(world.catalog.items_in_order[:1]))
    save(net, list(world.catalog), tmp_path)
    with pytest.raises(TargetError, match=r"pod: .* holds weights of 'P5-mini', not of 'POD-mini'"):
        build(world, tmp_path)
    (tmp_path / "config.json").write_text("[]", encoding="utf-8")
    with pytest.raises(TargetError, match=r"pod: .* does not hold usable weights"):
        build(world, tmp_path)


class Stop(Exception):
    """The training was killed."""


def test_a_stopped_training_goes_on_and_ends_the_same(world: Dataset, tmp_path: Path) -> None:
    hyper = replace(SMALL, layers=1, samples=64, epochs=3)
    whole = train(world, seed=1, out=tmp_path / "whole", hyper=hyper)

    def stop(epoch: int, _: int, __: float) -> None:
        if epoch == 2:
            raise Stop

    with pytest.raises(Stop):
        train(world, seed=1, out=tmp_path / "cut", hyper=hyper, progress=stop)
    with pytest.raises(TargetError, match=r"train pod: .* belongs to another training"):
        train(world, seed=2, out=tmp_path / "cut", hyper=hyper)
    assert train(world, seed=1, out=tmp_path / "cut", hyper=hyper) == whole
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "cut"))
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])
    assert sorted(p.name for p in (tmp_path / "cut").iterdir()) == [
        "config.json",
        "evaluation.json",
        "model.safetensors",
    ]
    report = json.loads((tmp_path / "whole" / "evaluation.json").read_text(encoding="utf-8"))
    assert report["pick"].keys() == {"hr@1", "hr@5", "unread_hr@1", "first", "last", "moved"}
    assert 0 <= whole["test_hr@10"] <= 1


def test_three_items_titles_that_are_numbers_and_no_genres_are_learned(tmp_path: Path) -> None:
    items = [Item(str(i), str(1984 + i)) for i in range(3)]
    rows = [(f"u{u}", str(i), 1.0, float(t)) for u in range(4) for t, i in enumerate(rng(u).permutation(3))]
    rows.append(("single", "0", 1.0, 0.0))  # a user with one event
    tiny = Dataset("tiny", Catalog(items), pd.DataFrame(rows, columns=["user", "item", "rating", "time"]))
    metrics = train(tiny, seed=0, out=tmp_path, hyper=replace(SMALL, layers=1, samples=32, epochs=1))
    assert np.isfinite(metrics["loss"])
    answer = build(tiny, tmp_path).recommend([Request(User("u"), "answer", EXPLAIN[0], tuple(items))])[0]
    assert answer.text is not None
    assert answer.text.startswith("1. 1984: ")
