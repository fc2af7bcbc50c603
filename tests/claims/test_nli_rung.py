"""The entailment rung: classes by name, parts of premises, thresholds, and models that cannot be used."""

from __future__ import annotations

import pytest

from audit.claims import Claim, Facts
from audit.claims.verification.nli import NliRung, read_labels
from audit.claims.verification.reading import statement, texts
from audit.errors import ConfigError
from audit.types import Catalog, Item, Request, User

FILMS = Catalog([Item("1", "Alien {0}", attributes={"year": 1979}), Item("2", "Heat", attributes={"year": 1995})])
WORDS = "[PAD] [UNK] [CLS] [SEP] alien heat yes no was released in the . word".split()
THREE = ("contradiction", "neutral", "entailment")


def save(folder, labels=THREE, *, head=True, limit=64, seed=0):
    """A tiny BERT of random weights."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, BertModel, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8,
        max_position_embeddings=limit, id2label=dict(enumerate(labels)), label2id={n: i for i, n in enumerate(labels)},
        initializer_range=1.0,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = BertForSequenceClassification(config) if head else BertModel(config)
    model.save_pretrained(folder)
    return model


def always(folder, meaning, labels=THREE):
    """A model that gives one class whatever it reads."""
    import torch

    model = save(folder, labels)
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.zero_()
        model.classifier.bias[labels.index(meaning)] = 8.0
    model.save_pretrained(folder)
    return NliRung(folder)


def claim(**fields):
    given = {"predicate": "year", "object": "1979", "subject": "Alien {0}", "item_id": "1", "start": 0, "end": 4}
    return Claim(**{**given, "sentence": "It is from 1979.", **fields})


def facts(**passages):
    return Facts(FILMS, Request(User("u")), passages=passages)


@pytest.mark.parametrize("labels", [THREE, THREE[::-1], ("Neutral", "ENTAILMENT", "Contradiction")])
@pytest.mark.parametrize(("meaning", "verdict"), [("entailment", "supported"), ("contradiction", "contradicted")])
def test_classes_are_found_by_name_in_any_order(tmp_path, labels, meaning, verdict):
    named = next(label for label in labels if label.casefold() == meaning)
    [ruling] = always(tmp_path, named, labels).rule([claim()], facts())
    assert (ruling.verdict, ruling.rung, ruling.source) == (verdict, "nli", "item:1")
    assert "1979" in ruling.evidence


def test_neutral_decides_nothing(tmp_path):
    neutral = always(tmp_path, "neutral")
    assert neutral.rule([claim(), claim(subject="Nowhere", item_id=None)], facts()) == [None, None]


def test_probabilities_are_those_of_the_model_itself_whatever_the_batch(tmp_path):
    import torch

    model = save(tmp_path).eval()
    pairs = [("alien was released in the word", "alien yes"), ("heat", "no"), ("word " * 20, "alien")]
    rung = NliRung(tmp_path, batch=2)
    tokenizer, _ = rung._loaded
    with torch.inference_mode():
        alone = [
            torch.softmax(model(**tokenizer(*pair, return_tensors="pt")).logits[0].double(), -1)[[2, 1, 0]].tolist()
            for pair in pairs
        ]
    for row, expected in zip(rung.probabilities(pairs), alone, strict=True):
        assert row.tolist() == pytest.approx(expected, abs=1e-5)


def test_long_texts_are_read_in_parts_that_fit_and_none_is_cut(tmp_path, monkeypatch):
    save(tmp_path, limit=40)
    rung, seen = NliRung(tmp_path), []
    original = rung.probabilities
    monkeypatch.setattr(rung, "probabilities", lambda pairs: seen.extend(pairs) or original(pairs))
    rung.rule([claim()], facts(review="Alien {0} " + "word " * 100))
    tokenizer, _ = rung._loaded
    assert all(len(tokenizer(*pair)["input_ids"]) <= 40 for pair in seen)
    assert sum(premise.split().count("word") for premise, _ in seen) == 100


def test_texts_that_disagree_decide_nothing_and_say_so(tmp_path, monkeypatch):
    import numpy as np

    save(tmp_path)
    rung = NliRung(tmp_path)
    monkeypatch.setattr(rung, "probabilities", lambda _: np.array([[0.9, 0.1, 0], [0.1, 0, 0.9]]))
    [ruling] = rung.rule([claim()], facts(review="Alien {0} is new."))
    assert (ruling.verdict, ruling.rung) == ("unverifiable", None)
    assert "disagree" in ruling.note


@pytest.mark.parametrize(
    ("labels", "mapping", "said"),
    [
        (("LABEL_0", "LABEL_1", "LABEL_2"), None, "says nothing"),
        (("entailment", "not_entailment"), None, "2 classes"),
        (("a", "b", "c"), None, "must be entailment"),
        (("a", "b"), {"a": "entailment"}, "'b' must be mapped"),
        (("a", "b"), {"a": "yes", "b": "neutral"}, "'yes'"),
        (("a", "b"), {"c": "entailment"}, "'c'"),
        (("a", "b"), {"a": "neutral", "b": "contradiction"}, "must mean entailment"),
    ],
)
def test_classes_that_cannot_be_told_apart_are_refused(labels, mapping, said):
    with pytest.raises(ConfigError, match=said):
        read_labels(dict(enumerate(labels)), mapping)


def test_a_mapping_lets_generic_names_and_two_classes_in():
    two = {"entailment": "entailment", "not_entailment": "neutral"}
    assert read_labels({0: "entailment", 1: "not_entailment"}, two) == {0: "entailment", 1: "neutral"}
    assert read_labels({0: "LABEL_0", 1: "LABEL_1"}, {"LABEL_0": "neutral", "LABEL_1": "entailment"})[1] == "entailment"


def test_an_encoder_without_a_head_is_refused(tmp_path):
    save(tmp_path, head=False)
    with pytest.raises(ConfigError, match="lacks weights"):
        NliRung(tmp_path).probabilities([("a", "b")])


def test_bad_options_are_named(tmp_path):
    with pytest.raises(ConfigError, match="must be a folder"):
        NliRung(tmp_path / "none")
    with pytest.raises(ValueError, match=r"entailed: 1\.5"):
        NliRung(tmp_path, entailed=1.5)


def test_claims_are_said_as_sentences_with_the_title():
    assert statement(claim(), facts()) == "Alien {0} was released in 1979."
    assert statement(claim(predicate="cast", object="{subject}", polarity=False), facts()) == (
        "{subject} does not appear in Alien {0}."
    )
    assert statement(claim(predicate="in_history"), facts()) is None


def test_a_text_about_another_item_does_not_speak_for_this_one():
    world = facts(**{"item:2": "Alien {0} is named here", "item:1~2": "more of it", "web": "Heat.", "own": "alien {0}"})
    assert [d.id for d in texts(claim(), world)] == ["item:1", "item:1~2", "own"]
