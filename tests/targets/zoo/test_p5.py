from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from audit import stats
from audit.data.dataset import Dataset, IntArray
from audit.data.splits import leave_one_out
from audit.edits import Zone, zone_of
from audit.errors import ConfigError, TargetError
from audit.target import CountsTokens, GivesLogprobs, Renders
from audit.targets.zoo import p5_evaluation
from audit.targets.zoo.p5 import P5, SHIPPED, build, build_order_blind
from audit.targets.zoo.p5_answers import NEVER, top
from audit.targets.zoo.p5_indexing import SCHEMES, Indexing, first_appearance, make
from audit.targets.zoo.p5_model import Hyper, P5Net, load, save
from audit.targets.zoo.p5_scoring import Scorer
from audit.targets.zoo.p5_training import RECIPES, Events, loss_of, samples, train
from audit.targets.zoo.p5_vocabulary import SEEN, UNSEEN, Vocabulary, pieces, trained_words
from audit.targets.zoo.protocol import hits, leave_one_out_ranks
from audit.types import Catalog, Event, Item, Request, User

SMALL = Hyper(dim=32, heads=1, wide=64, layers=1, far=6, near=4, targets=8, samples=256, batch=32, epochs=3, buckets=16)
NO_GENRES = [frozenset[str]()] * 120
ODD = ('Léon 🎬 {x} "quoted"\n\\', "‮شعلة‬", "", "a" * 3000)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def untrained(world: Dataset, scheme: str, hyper: Hyper = SMALL, *, noise: float = 0.1) -> P5Net:
    """A network with weights large enough that every part of it matters."""
    indexing = make(scheme, list(leave_one_out(world).train.values()), len(world.catalog), rng())
    torch.manual_seed(0)
    net = P5Net(Vocabulary(indexing, hyper.buckets), hyper).eval()
    with torch.no_grad():
        for weight in net.parameters():
            weight += torch.randn_like(weight) * noise
    return net


@pytest.fixture(scope="module")
def shipped(ml100k_core: Dataset) -> P5:
    return build(ml100k_core)


@pytest.fixture(scope="module")
def tiny(world: Dataset) -> Callable[[str], P5]:
    targets = {scheme: P5(world.catalog, untrained(world, scheme)) for scheme in SCHEMES}
    return lambda scheme: targets[scheme]


def target_levels(world: Dataset, scheme: str) -> tuple[int, ...]:
    return make(scheme, list(leave_one_out(world).train.values()), len(world.catalog), rng()).levels


def requests(dataset: Dataset, count: int, seed: int = 0) -> list[Request]:
    """Requests of every kind: tasks, wordings, histories short and long, candidates few and many."""
    draw, catalog = rng(seed), dataset.catalog.items_in_order
    wordings = (SEEN[0], UNSEEN, "", f"{SEEN[1]} exploding pineapples", "!")
    found = []
    for _ in range(count):
        events = dataset.events(dataset.user_ids[draw.integers(len(dataset.user_ids))])
        size = int(draw.choice([0, 1, 3, 12, len(events)]))
        items = tuple(catalog[i] for i in draw.choice(len(catalog), size=int(draw.choice([1, 5, 60])), replace=False))
        base = Request(User("u", events[:size]), instruction=str(draw.choice(wordings)), k=int(draw.integers(1, 12)))
        kinds = (replace(base, candidates=items), replace(base, task="score", candidates=items), base)
        found.append(kinds[draw.integers(3)])
    return found


# Indexing


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_two_items_share_an_id_and_levels_share_no_token(world: Dataset, scheme: str) -> None:
    indexing = make(scheme, list(leave_one_out(world).train.values()), len(world.catalog), rng())
    assert len(np.unique(indexing.codes, axis=0)) == len(world.catalog)
    assert (indexing.codes >= 0).all()
    assert (indexing.codes.max(axis=0) + 1 <= indexing.levels).all()
    tokens = Vocabulary(indexing, 16).item_tokens[:-1]
    assert not set(tokens[:, 0]) & set(tokens[:, 1:].ravel())
    again = Indexing.from_dict(json.loads(json.dumps(indexing.to_dict())))
    np.testing.assert_array_equal(again.codes, indexing.codes)


def test_sequential_numbers_follow_first_appearance() -> None:
    sequences = [np.array([4, 2, 4]), np.array([2, 0]), np.array([7])]
    numbers = first_appearance(sequences, 8)
    assert numbers[[4, 2, 0, 7]].tolist() == [0, 1, 2, 3]
    assert numbers[[1, 3, 5, 6]].tolist() == [4, 5, 6, 7]  # never seen: last, in catalogue order
    codes = make("sid", sequences, 8, rng()).codes
    np.testing.assert_array_equal(10 * codes[:, 0] + codes[:, 1] + 1000, numbers + 1001)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_held_out_items_do_not_reach_the_numbering(world: Dataset, scheme: str) -> None:
    # Another last and last-but-one item for every user must give the very same ids.
    frame = world.interactions.copy()
    for user in world.user_ids:
        rows = world.rows(user)[-2:]
        frame.loc[rows, "item"] = frame.loc[rows[::-1], "item"].to_numpy()
    other = replace(world, interactions=frame)
    found = [make(scheme, list(leave_one_out(d).train.values()), len(d.catalog), rng()) for d in (world, other)]
    np.testing.assert_array_equal(found[0].codes, found[1].codes)


def test_a_held_out_item_does_not_carry_the_next_number() -> None:
    # Fifty users with six films each that nobody else has: numbers over whole sequences give every answer away.
    sequences = [np.sort(part) for part in rng().permutation(300).reshape(50, 6)]

    def following(numbers: IntArray) -> float:
        return float(np.mean([numbers[s[-1]] == numbers[s[-2]] + 1 for s in sequences]))

    assert following(first_appearance(sequences, 300)) == 1
    numbers = make("sid", [s[:-2] for s in sequences], 300, rng()).codes @ [10, 1]
    assert following(numbers) < 0.1


def test_clusters_hold_items_chosen_together() -> None:
    # Two groups of people, each with films of its own; one film is the most popular of its group.
    sequences = [np.array([*rng(u).permutation(10)[:6], 3]) + 10 * (u % 2) for u in range(40)]
    codes = make("cid", sequences, 20, rng()).codes
    groups = [set(codes[:10, 0]), set(codes[10:, 0])]
    assert not groups[0] & groups[1]
    assert codes[3, 1] == codes[13, 1] == 0
    shared = make("hid", sequences, 20, rng()).codes
    assert not set(shared[:10, 0]) & set(shared[10:, 0])
    assert shared[:, 1].tolist() == list(range(20))


def test_the_block_sizes_of_movielens(ml100k_core: Dataset) -> None:
    # The sheet p5_mini reports these sizes for an independent implementation.
    train_part, size = list(leave_one_out(ml100k_core).train.values()), len(ml100k_core.catalog)
    levels = {scheme: make(scheme, train_part, size, rng(7)).levels for scheme in SCHEMES}
    assert levels == {"iid": (1349,), "sid": (135, 10), "rid": (135, 10), "cid": (100, 27), "hid": (20, 1349)}


def test_an_unknown_indexing_is_named(world: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="indexing: 'xid' is not one of iid, sid, rid, cid, hid"):
        train(world, out=tmp_path, seed=0, indexing="xid", hyper=SMALL)


# Words


def test_words_of_the_training_have_their_own_tokens_and_others_share_buckets(tiny: Callable[[str], P5]) -> None:
    vocabulary = tiny("iid").vocabulary
    own = {word for text in (*SEEN, UNSEEN) for word, _ in pieces(text)}
    assert len({vocabulary.word(word) for word in own}) == len(own)
    assert vocabulary.word("Movie") == vocabulary.word("movie")
    buckets = {vocabulary.word(f"word{i}") for i in range(300)} | {vocabulary.word(text) for text in ODD}
    low, high = vocabulary.first_bucket, vocabulary.first_bucket + vocabulary.buckets
    assert buckets == set(range(low, high))


def test_every_inserted_word_reaches_the_model(shipped: P5, ml100k_core: Dataset) -> None:
    events = ml100k_core.events("1")[:-1]
    plain = shipped.recommend([Request(User("u", events), instruction=SEEN[0])])[0]
    for word in ("horror", "!", "🎬", "zxqv", "watch"):
        told = shipped.recommend([Request(User("u", events), instruction=f"{SEEN[0]} {word}")])[0]
        assert max(abs(a - b) for a, b in zip(plain.scores, told.scores, strict=True)) > 1e-4  # type: ignore[operator]


def test_untrained_words_have_the_size_of_trained_ones(shipped: P5) -> None:
    vocabulary, table = shipped.vocabulary, shipped.net.t5.shared.weight.detach()
    words = table[3 : vocabulary.first_bucket]
    buckets = table[vocabulary.first_bucket : vocabulary.first_bucket + vocabulary.buckets]
    assert float(buckets.norm(dim=1).mean() / words.norm(dim=1).mean()) == pytest.approx(1, abs=0.1)


# Scores


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("near", [0, 4])
def test_scores_are_those_of_teacher_forcing_item_by_item(world: Dataset, scheme: str, gated: bool, near: int) -> None:
    net = untrained(world, scheme, replace(SMALL, gated=gated, layers=2, near=near), noise=0.05)
    target = P5(world.catalog, net)
    vocabulary, size = target.vocabulary, len(world.catalog)
    tokens = torch.from_numpy(vocabulary.item_tokens)
    history = rng().integers(size, size=10)
    words = [vocabulary.word(word) for word, _ in pieces(SEEN[0])]
    older, recent = history[max(0, 10 - near - net.hyper.far) : 10 - near], history[10 - near :]
    inputs = torch.tensor([[*words, *tokens[older].flatten().tolist(), vocabulary.END]])
    start = [vocabulary.START, *tokens[recent].flatten().tolist()]
    prefixes = torch.tensor([[*start, *line[:-1].tolist()] for line in tokens[:-1]])
    with torch.inference_mode():
        states = net(inputs.expand(size, -1), prefixes)
        expected = sum(
            net.logits(states[:, len(start) - 1 + level], level)
            .double()
            .log_softmax(-1)[torch.arange(size), torch.from_numpy(vocabulary.indexing.codes[:, level])]
            for level in range(vocabulary.indexing.depth)
        )
    found = target.score([history])[0]
    np.testing.assert_allclose(found, np.asarray(expected), atol=1e-5)
    assert np.ptp(found) > 0.3
    events = tuple(Event(world.catalog.items_in_order[i]) for i in history)
    asked = Request(User("u", events), "score", SEEN[0], world.catalog.items_in_order[5:9])
    np.testing.assert_allclose(target.recommend([asked])[0].scores, found[5:9], atol=1e-5)  # type: ignore[arg-type]
    parts = target.logprobs([asked, asked], ["105", target.prompts.item_text(7)])
    assert [len(part) for part in parts] == [vocabulary.indexing.depth] * 2
    np.testing.assert_allclose([sum(part) for part in parts], found[[5, 7]], atol=1e-5)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_an_item_may_have_any_number_of_tokens(depth: int) -> None:
    # No scheme has more than two; codes of 0, 1, 2 at every level give beginnings that items share, and that end early.
    codes = np.unique(rng().integers(3, size=(40, depth)), axis=0)
    indexing = Indexing("hid", codes, (3,) * depth)
    torch.manual_seed(0)
    net = P5Net(Vocabulary(indexing, 8), replace(SMALL, layers=2)).eval()
    with torch.no_grad():
        for weight in net.parameters():
            weight += torch.randn_like(weight) * 0.05
    scorer, tokens, size = Scorer(net), torch.from_numpy(net.vocabulary.item_tokens), len(codes)
    inputs, start = torch.tensor([[3, 4, *tokens[0].tolist(), 1]]), [0, *tokens[-2].tolist()]
    with torch.inference_mode():
        states = net(inputs.expand(size, -1), torch.tensor([[*start, *line[:-1].tolist()] for line in tokens[:-1]]))
        expected = torch.stack(
            [
                net.logits(states[:, len(start) - 1 + level], level)
                .double()
                .log_softmax(-1)[torch.arange(size), torch.from_numpy(codes[:, level])]
                for level in range(depth)
            ],
            dim=-1,
        )
        asked = scorer.embed(inputs), scorer.embed(torch.tensor([start]))
        found = scorer.catalogue(*asked)[0].numpy()
        some = torch.tensor([[size - 1, 0, size // 2, 0]])
        parts = scorer.chosen(*asked, some)[0].numpy()
    np.testing.assert_allclose(found, expected.sum(-1).numpy(), atol=1e-5)
    np.testing.assert_allclose(parts, expected[some[0]].numpy(), atol=1e-5)
    if size == 3**depth:
        assert float(np.exp(found).sum()) == pytest.approx(1)
    assert np.ptp(found) > 0.05


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_training_target_does_not_see_what_follows_it(world: Dataset, scheme: str) -> None:
    net = untrained(world, scheme)
    users = [np.arange(20), np.arange(50, 62)]
    events = [Events(items, np.arange(len(items), dtype=np.float64)) for items in users]
    inputs, prefix, answer = next(samples(net, events, NO_GENRES, rng()))
    depth = net.vocabulary.indexing.depth
    cut = 3 * depth
    changed = prefix.clone()
    changed[:, cut + 1 :] = int(net.vocabulary.item_tokens[77, 0])
    with torch.inference_mode():
        one, two = net(inputs, prefix), net(inputs, changed)
    torch.testing.assert_close(one[:, : cut + 1], two[:, : cut + 1])
    assert not torch.allclose(one[:, cut + 1 :], two[:, cut + 1 :])
    # Each decoder step answers with the token that the next step reads: the target is never its own input.
    codes, blocks = answer[:, :-1], prefix[:, 1:]
    starts = torch.tensor([start for start, _ in net.vocabulary.blocks]).repeat(net.hyper.targets)[:-1]
    shown = (codes >= 0) & (blocks != 0) & (blocks != net.vocabulary.UNKNOWN)
    assert shown.any()
    assert ((codes + starts)[shown] == blocks[shown]).all()


def test_samples_continue_the_sequence_and_shuffle_only_ties(world: Dataset) -> None:
    hyper = replace(SMALL, unknown=0.0, samples=64, batch=64)
    net = untrained(world, "iid", hyper)
    times = np.array([0, 0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8], dtype=np.float64)
    inputs, _, answer = next(samples(net, [Events(np.arange(12), times)], NO_GENRES, rng()))
    first = net.vocabulary.blocks[0][0]
    orders, empty = set(), 0
    for line, codes in zip(inputs.tolist(), answer.tolist(), strict=True):
        read = [token - first for token in line if token >= first]
        told = [code for code in codes if code >= 0]
        empty += not read
        joined = read + told
        assert len(read) <= hyper.far
        assert len(told) <= hyper.targets
        assert [times[i] for i in joined] == sorted(times[i] for i in joined)
        assert len(set(joined)) == len(joined)
        orders.add(tuple(i for i in joined if i in (4, 5)))
    assert len(orders - {(), (4,), (5,)}) == 1  # one order in one epoch
    assert empty > 0  # the empty history is trained


@pytest.mark.parametrize("scheme", ["iid", "cid"])
def test_a_wish_is_obeyed_by_the_items_that_are_learned(world: Dataset, scheme: str) -> None:
    hyper = replace(SMALL, unknown=0.0, wishes=1.0, samples=200, batch=200)
    genres = [frozenset({"Sci-Fi"} if i % 3 == 0 else {"Drama"}) for i in range(120)]
    indexing = make(scheme, list(leave_one_out(world).train.values()), 120, rng())
    vocabulary = Vocabulary(indexing, 16, trained_words(["Drama", "Sci-Fi"]))
    net = P5Net(vocabulary, hyper)
    inputs, prefix, answer = next(samples(net, [Events(np.arange(60), np.arange(60.0))], genres, rng()))
    names = {vocabulary.word(word): word for word in vocabulary.words}
    depth, item_of = indexing.depth, {tuple(code): i for i, code in enumerate(indexing.codes.tolist())}
    kinds = set()
    for line, codes, read in zip(inputs.tolist(), answer.tolist(), prefix.tolist(), strict=True):
        said = [names[token] for token in line if token in names]
        if not {"drama", "sci"} & set(said):
            continue  # too near the end for a wish to be followed
        genre = "Drama" if "drama" in said else "Sci-Fi"
        refused = bool({"no", "not", "without"} & set(said))
        told = [tuple(codes[i : i + depth]) for i in range(0, len(codes), depth)]
        learned = [item_of[code] for code in told if code[0] >= 0]
        silent = next(i for i, code in enumerate(told) if code[0] >= 0)
        assert all((genre in genres[item]) != refused for item in learned)
        assert learned == sorted(learned)
        assert silent <= hyper.near
        # What was not to be learned is still read, as the history is when the target is asked.
        shown = [token for token in read[1 : 1 + silent * depth] if token]
        assert len(shown) == silent * depth
        kinds.add((genre, refused))
    assert len(kinds) == 4


@pytest.mark.parametrize("scheme", SCHEMES)
def test_answers_do_not_depend_on_the_batch(tiny: Callable[[str], P5], world: Dataset, scheme: str) -> None:
    target, asked = tiny(scheme), requests(world, 90)
    together = target.recommend(asked)
    for request, expected in zip(asked, together, strict=True):
        alone = target.recommend([request])[0]
        assert alone.ids == expected.ids
        np.testing.assert_allclose(alone.scores, expected.scores, atol=1e-5)  # type: ignore[arg-type]


def test_lists_of_the_shipped_weights_do_not_depend_on_the_batch(shipped: P5, ml100k_core: Dataset) -> None:
    asked = requests(ml100k_core, 64, seed=3)
    together = [answer.ids for answer in shipped.recommend(asked)]
    assert [shipped.recommend([request])[0].ids for request in asked] == together
    assert [answer.ids for answer in shipped.recommend(asked[::-1])][::-1] == together


@pytest.mark.parametrize("scheme", ["iid", "hid"])
def test_a_ranking_is_the_catalogue_without_the_history(tiny: Callable[[str], P5], world: Dataset, scheme: str) -> None:
    target, events = tiny(scheme), world.events("001")
    scores = target.score([world.sequences["001"]])[0]
    answer = target.recommend([Request(User("u", events), instruction=SEEN[0], k=500)])[0]
    seen = {event.item.id for event in events}
    assert set(answer.ids) == set(world.catalog) - seen
    order = [world.index[i] for i in answer.ids if i is not None]
    assert all(scores[a] >= scores[b] - 1e-9 for a, b in pairwise(order))
    np.testing.assert_allclose(answer.scores, scores[order], atol=1e-6)  # type: ignore[arg-type]


def test_ties_go_by_catalogue_order() -> None:
    scores = np.array([[1.0, 3.0, 3.0, 3.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0], [5.0, 4.0, 3.0, 2.0, 1.0]])
    assert top(scores, 2).tolist() == [[1, 2], [0, 1], [0, 1]]
    draw = rng().integers(3, size=(50, 40)).astype(np.float64)
    for k in (1, 7, 40):
        np.testing.assert_array_equal(top(draw, k), np.argsort(-draw, axis=1, kind="stable")[:, :k])


def test_equal_candidates_keep_catalogue_order_whatever_their_position(
    tiny: Callable[[str], P5], world: Dataset
) -> None:
    items = world.catalog.items_in_order[:20]
    base = Request(User("u", world.events("002")), instruction=SEEN[0], candidates=items)
    moved = replace(base, candidates=items[::-1])
    one, two = tiny("cid").recommend([base, moved])
    assert one.ids == two.ids


# Odd requests


@pytest.mark.parametrize("scheme", ["iid", "cid"])
def test_an_empty_history_and_empty_words_are_answered(tiny: Callable[[str], P5], scheme: str) -> None:
    target = tiny(scheme)
    answers = target.recommend([Request(User("u")), Request(User("u"), k=0), Request(User("u"), candidates=())])
    assert [len(answer.ranked) for answer in answers] == [10, 0, 0]
    assert all(np.isfinite(score) for score in answers[0].scores if score is not None)
    assert answers[0].usage.prompt_tokens == 2
    assert target.recommend([]) == []


def test_unknown_items_count_in_the_window_and_score_last(tiny: Callable[[str], P5], world: Dataset) -> None:
    target = tiny("hid")
    strange = [Event(Item(f"x{i}", title)) for i, title in enumerate(ODD)]
    events = world.events("003")
    plain = Request(User("u", events), "score", SEEN[0], (*world.catalog.items_in_order[:3], strange[0].item))
    mixed = replace(plain, user=User("u", (*events, *strange)))
    one, two = target.recommend([plain, mixed])
    assert one.ids == two.ids == (*list(world.catalog)[:3], "x0")
    assert one.scores[3] == two.scores[3] == NEVER
    assert one.scores[:3] != two.scores[:3]
    # Which unknown item it is cannot matter; that it stands there does.
    other = replace(mixed, user=User("u", (*events, *[Event(Item(f"y{i}", "?")) for i in range(4)])))
    assert target.recommend([other])[0] == two
    ranked = target.recommend([replace(plain, task="rank", candidates=(strange[0].item, world.catalog["101"]))])[0]
    assert ranked.ids == ("101", "x0")
    assert target.count_tokens([mixed])[0] == target.recommend([mixed])[0].usage.prompt_tokens


def test_only_the_window_counts_but_the_whole_history_is_left_out(tiny: Callable[[str], P5], world: Dataset) -> None:
    target, items = tiny("iid"), world.catalog.items_in_order
    recent = tuple(Event(item) for item in items[:10])
    longer = tuple(Event(item) for item in items[50:90]) + recent
    one, two = target.recommend([Request(User("u", h), k=500) for h in (recent, longer)])
    scores = dict(zip(one.ids, one.scores, strict=True))
    assert [scores[i] for i in two.ids] == pytest.approx(list(two.scores), abs=1e-6)
    assert set(one.ids) - set(two.ids) == {item.id for item in items[50:90]}


def test_tasks_it_cannot_do_are_error_answers(tiny: Callable[[str], P5]) -> None:
    answers = tiny("iid").recommend([Request(User("u"), task="answer"), Request(User("u"), task="score")])
    assert [a.outcome for a in answers] == ["error", "error"]
    assert "writes no text" in answers[0].detail
    assert "needs candidates" in answers[1].detail


def test_titles_and_the_user_id_have_no_influence(tiny: Callable[[str], P5], world: Dataset) -> None:
    events = world.events("004")
    renamed = tuple(replace(e, item=replace(e.item, title=ODD[i % 4])) for i, e in enumerate(events))
    one, two = tiny("sid").recommend([Request(User("a", events)), Request(User("b", renamed))])
    assert one.ids == two.ids
    assert one.scores == two.scores


def test_a_very_long_instruction_is_answered(tiny: Callable[[str], P5], world: Dataset) -> None:
    asked = Request(User("u", world.events("001")), instruction="ignore all that " * 2000)
    answer = tiny("iid").recommend([asked])[0]
    assert len(answer.ranked) == 10
    assert answer.usage.prompt_tokens == 512 + 10 + 2


# The prompt


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_prompt_and_its_text_agree_token_by_token(tiny: Callable[[str], P5], world: Dataset, scheme: str) -> None:
    target = tiny(scheme)
    assert isinstance(target, Renders)
    assert isinstance(target, CountsTokens)
    assert isinstance(target, GivesLogprobs)
    events = (*world.events("005"), Event(Item("new", "New")))
    request = Request(User("u", events), instruction="Predict the next movie, horror!")
    rendered, encoded = target.render(request), target.encode_prompt(request)
    assert target.count_tokens([request]) == [len(encoded.encoder) + len(encoded.decoder)]
    words = [token for token in encoded.encoder if token.field == "instruction"]
    assert [request.instruction[t.start : t.end] for t in words] == [
        "Predict",
        "the",
        "next",
        "movie",
        ",",
        "horror",
        "!",
    ]
    first = len(events) - 10
    fields = [f"history[{i}]" for i in range(first, len(events))]
    assert [span.field for span in rendered.spans] == ["instruction", *fields]
    assert {zone_of(span.field) for span in rendered.spans[1:]} == {Zone.PLATFORM}
    for span, event in zip(rendered.spans[1:], events[first:], strict=True):
        index = world.index.get(event.item.id)
        text = "<unknown>" if index is None else target.prompts.item_text(index)
        assert rendered.text[span.start : span.end] == text
    placed = list(dict.fromkeys(t.field for t in (*encoded.encoder, *encoded.decoder) if t.field.startswith("history")))
    assert placed == fields
    assert target.render(request) == target.render(replace(request))


def test_log_probs_are_those_of_score_and_have_a_gradient(tiny: Callable[[str], P5], world: Dataset) -> None:
    for scheme in ("iid", "cid"):
        target = tiny(scheme)
        request = Request(User("u", world.events("006")), "score", SEEN[2], world.catalog.items_in_order[7:8])
        prompt = target.encode_prompt(request)
        encoder, prefix = (
            target.embed(torch.tensor([[t.number for t in part]])).requires_grad_()
            for part in (prompt.encoder, prompt.decoder)
        )
        found = target.log_probs(encoder, prefix, torch.tensor([[7]]))
        assert found.item() == pytest.approx(target.recommend([request])[0].scores[0], abs=1e-5)
        assert target.log_probs(encoder, prefix)[0, 7].item() == pytest.approx(found.item(), abs=1e-5)
        found.sum().backward()
        for part in (encoder, prefix):
            assert part.grad is not None
            assert (part.grad.abs().sum(-1) > 0).all()
        # Against a finite difference along a random direction.
        direction = torch.randn(encoder.shape, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            ahead, behind = (
                target.log_probs(encoder + step * direction, prefix, torch.tensor([[7]])).item()
                for step in (1e-4, -1e-4)
            )
        slope = float((encoder.grad * direction).sum())  # type: ignore[operator]
        assert (ahead - behind) / 2e-4 == pytest.approx(slope, rel=0.02, abs=0.02)


def test_logprobs_of_what_is_no_item_is_refused(tiny: Callable[[str], P5]) -> None:
    with pytest.raises(TargetError, match="logprobs: 'Toy Story' is no item"):
        tiny("iid").logprobs([Request(User("u"))], ["Toy Story"])


# Training


class Stop(Exception):
    """The training was killed."""


@pytest.mark.parametrize("scheme", ["iid", "cid"])
def test_a_stopped_training_goes_on_and_ends_the_same(world: Dataset, tmp_path: Path, scheme: str) -> None:
    whole = train(world, seed=1, out=tmp_path / "whole", indexing=scheme, hyper=SMALL)

    def stop(epoch: int, _: int, __: float) -> None:
        if epoch == 2:
            raise Stop

    cut = {"seed": 1, "out": tmp_path / "cut", "indexing": scheme, "hyper": SMALL}
    with pytest.raises(Stop):
        train(world, **cut, progress=stop)  # type: ignore[arg-type]
    epochs: list[int] = []
    resumed = train(world, **cut, progress=lambda epoch, *_: epochs.append(epoch))  # type: ignore[arg-type]
    assert epochs == [3]
    assert resumed == whole
    expected, found = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "cut"))
    assert expected.keys() == found.keys()
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])
    names = sorted(p.name for p in (tmp_path / "cut").iterdir())
    assert names == ["config.json", "evaluation.json", "model.safetensors"]


def test_a_checkpoint_of_another_training_is_not_continued(world: Dataset, tmp_path: Path) -> None:
    def stop(*_: object) -> None:
        raise Stop

    with pytest.raises(Stop):
        train(world, seed=1, out=tmp_path, hyper=SMALL, progress=stop)
    with pytest.raises(TargetError, match="belongs to another training; delete it"):
        train(world, seed=1, out=tmp_path, indexing="rid", hyper=SMALL)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_it_learns_the_walk_of_the_tiny_world(world: Dataset, tmp_path: Path, scheme: str) -> None:
    hyper = replace(
        SMALL,
        wide=128,
        samples=512,
        epochs=14 if scheme in ("rid", "cid") else 9,
        rate=6e-3,
        gated=RECIPES[scheme].gated,
    )
    metrics = train(world, seed=3, out=tmp_path, indexing=scheme, hyper=hyper)
    # Chance is 10 of about 95 unseen items; random shared tokens are the slowest to learn.
    assert metrics["test_hr@10_true"] > (0.15 if scheme == "rid" else 0.2)
    assert metrics["loss"] < np.log(target_levels(world, scheme)).sum() - 0.1  # nats of guessing
    target = build(world, weights=tmp_path)
    assert target.vocabulary.indexing.scheme == scheme
    ranks = leave_one_out_ranks(target.score, world)
    assert hits(ranks, 10).mean() == pytest.approx(metrics["test_hr@10_true"], abs=1e-4)


def test_the_loss_of_an_untrained_network_is_that_of_guessing(world: Dataset) -> None:
    for scheme in ("iid", "cid"):
        net = untrained(world, scheme, noise=0.0)
        batch = next(samples(net, [Events(np.arange(40), np.arange(40.0))], NO_GENRES, rng()))
        guess = float(np.log(net.vocabulary.indexing.levels).sum())
        assert loss_of(net, *batch).item() == pytest.approx(guess, abs=0.1)


def test_weights_that_do_not_fit_are_refused(world: Dataset, tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="does not hold usable weights"):
        load(tmp_path)
    net = untrained(world, "hid")
    save(net, list(world.catalog), tmp_path)
    with pytest.raises(TargetError, match=r"119 items that this catalogue lacks, such as '101'.* train p5"):
        P5.load(tmp_path, Catalog(world.catalog.items_in_order[:1]))
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps({**config, "items": config["items"][:-1]}), encoding="utf-8")
    with pytest.raises(TargetError, match="119 items but 120 codes"):
        load(tmp_path)


def test_an_indexing_without_shipped_weights_and_an_unknown_form_are_named(world: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no weights are shipped for 'rid'.*--option indexing=rid"):
        build(world, indexing="rid")
    save(untrained(world, "iid"), list(world.catalog), tmp_path)
    with pytest.raises(ConfigError, match="form: 'middle' is not one of decoder, encoder"):
        build(world, tmp_path, form="middle")  # type: ignore[arg-type]


# The shipped weights


@pytest.mark.parametrize("scheme", sorted(folder.name for folder in SHIPPED.iterdir() if folder.is_dir()))
def test_shipped_weights_are_small_and_their_record_passes_the_rules(scheme: str) -> None:
    report = json.loads((SHIPPED / scheme / "evaluation.json").read_text(encoding="utf-8"))
    rate = {name: value["estimate"] for name, value in report["decoder"]["hr@10"].items()}
    assert report["indexing"] == scheme
    assert report["users"] == 943
    assert rate["true"] >= 0.15
    assert rate["emptied"] <= 0.11
    assert rate["other"] <= 0.06
    assert rate["true"] - rate["shuffled"] >= 0.04
    assert all(p5_evaluation.rules(report["decoder"]).values())
    assert sum(file.stat().st_size for file in (SHIPPED / scheme).iterdir()) < 3_000_000


@pytest.mark.parametrize("scheme", sorted(folder.name for folder in SHIPPED.iterdir() if folder.is_dir()))
def test_the_shipped_weights_reach_their_record(ml100k_core: Dataset, scheme: str) -> None:
    target, split = build(ml100k_core, indexing=scheme), leave_one_out(ml100k_core)
    users = list(split.test)[:200] if scheme != "iid" else list(split.test)
    scores = target.score([split.context(user, "test") for user in users])
    for user, row in zip(users, scores, strict=True):
        row[split.context(user, "test")] = -np.inf
        assert np.isfinite(row[split.test[user]])
    found = [split.test[user] in top(row[None], 10)[0] for user, row in zip(users, scores, strict=True)]
    report = json.loads((SHIPPED / scheme / "evaluation.json").read_text(encoding="utf-8"))
    record = report["decoder"]["hr@10"]["true"]["estimate"]
    if scheme == "iid":
        assert np.mean(found) == pytest.approx(record, abs=0.004)  # other processors round otherwise
    else:
        assert abs(np.mean(found) - record) < 4 * np.sqrt(record * (1 - record) / 200)


def test_the_order_blind_form_is_order_blind_and_the_other_is_not(ml100k_core: Dataset) -> None:
    split = leave_one_out(ml100k_core)
    users = list(split.test)[:400]
    drops = {}
    for target in (build(ml100k_core), build_order_blind(ml100k_core)):
        contexts = [split.context(user, "test") for user in users]
        window = target.prompts.far + target.prompts.near
        moved = [rng(5).permutation(context[-window:]) for context in contexts]
        found = []
        for histories in (contexts, moved):
            scores = target.score(histories)
            for row, context in zip(scores, contexts, strict=True):
                row[context] = -np.inf
            best = top(scores, 10)
            found.append(np.array([split.test[u] in line for u, line in zip(users, best, strict=True)], dtype=float))
        drops[target.info.name] = stats.paired_difference(found[0], found[1], rng=rng(1))
    assert drops["p5"].low > 0.02
    assert abs(drops["p5-order-blind"].estimate) < 0.025
    assert drops["p5-order-blind"].low < 0 < drops["p5-order-blind"].high


def test_what_it_declares(shipped: P5, ml100k_core: Dataset) -> None:
    blind = build_order_blind(ml100k_core)
    assert shipped.info.name == "p5"
    assert blind.info.name == "p5-order-blind"
    assert shipped.info.fingerprint != blind.info.fingerprint
    assert shipped.info.fingerprint == build(ml100k_core).info.fingerprint
    assert shipped.info.fingerprint != build(ml100k_core, indexing="hid").info.fingerprint
    assert shipped.info.instructions == {"rank": SEEN[0], "score": SEEN[0]}
    assert shipped.info.paraphrases["rank"] == (*SEEN[1:], UNSEEN)
    assert {len(text.split()) for text in (*SEEN, UNSEEN)} == {8}
