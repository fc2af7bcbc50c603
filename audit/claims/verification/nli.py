"""The second rung: a model of natural language inference reads the item's texts as premise, the claim as hypothesis."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.claims.claim import Claim, Facts, Ruling, RungName
from audit.claims.verification.reading import statement, texts
from audit.errors import ConfigError
from audit.knowledge.chunks import chunked
from audit.knowledge.document import Document

CLASSES = ("entailment", "neutral", "contradiction")
_GENERIC = re.compile(r"label[_ -]?\d+", re.IGNORECASE)
_SHIFTED = ("roberta", "xlm-roberta", "camembert", "mpnet", "longformer")
"""Models whose first positions are taken by padding."""


class NliRung:
    """Rules by entailment. The order of classes is read from the model, never assumed.

    Supported where the highest P(entailment) over the parts of the texts reaches `entailed`, contradicted where the
    highest P(contradiction) reaches `contradicted`; where both do the texts disagree, and nothing is decided.

    Args:
        folder: a model for sequence classification with its tokenizer, as safetensors.
        labels: the model's names of classes to `entailment`, `neutral`, `contradiction`; needed where its names do not
            say which is which, and for models of two classes.
        entailed: threshold τe.
        contradicted: threshold τc.
        premise: tokens of a premise; longer texts are read in parts.
        batch: pairs at a time.

    Raises:
        ValueError: an option is out of range.
        ConfigError: the folder holds no such model, or its classes cannot be told apart.
    """

    name: RungName = "nli"

    def __init__(
        self,
        folder: Path | str,
        *,
        labels: Mapping[str, str] | None = None,
        entailed: float = 0.7,
        contradicted: float = 0.7,
        premise: int = 400,
        batch: int = 16,
    ) -> None:
        for option, value in (("entailed", entailed), ("contradicted", contradicted)):
            if not 0 < value <= 1:
                raise ValueError(f"{option}: {value} must be above 0 and at most 1")
        for option, value in (("premise", premise), ("batch", batch)):
            if value < 1:
                raise ValueError(f"{option}: {value} must be at least 1")
        self.folder = Path(folder)
        self.entailed, self.contradicted, self.premise, self.batch = entailed, contradicted, premise, batch
        if not (self.folder / "config.json").is_file() or not list(self.folder.glob("*.safetensors")):
            raise ConfigError(f"nli: {str(folder)!r} must be a folder with config.json and the weights as safetensors")
        from transformers import AutoConfig

        self._config: Any = AutoConfig.from_pretrained(self.folder, local_files_only=True)
        self.classes = read_labels(self._config.id2label, labels)

    def rule(self, claims: list[Claim], facts: Facts) -> list[Ruling | None]:
        """One ruling per claim; None where there is no text, no sentence, or neither threshold is reached.

        A ruling whose `rung` is None decides nothing, and its note says why: the texts disagree.
        """
        pairs: list[tuple[Document, str]] = []
        owners: list[int] = []
        for index, claim in enumerate(claims):
            sentence = statement(claim, facts)
            for part in self._parts(texts(claim, facts), sentence) if sentence else ():
                pairs.append((part, sentence or ""))
                owners.append(index)
        scores = self.probabilities([(part.text, sentence) for part, sentence in pairs])
        found: list[Ruling | None] = []
        for index, claim in enumerate(claims):
            rows = [row for row, owner in enumerate(owners) if owner == index]
            found.append(self._decide(claim, rows, pairs, scores) if rows else None)
        return found

    def probabilities(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        """P(entailment), P(neutral), P(contradiction) of premise and hypothesis, shape (len(pairs), 3).

        A class that the model lacks has probability 0.
        """
        import torch

        tokenizer, model = self._loaded
        result = np.zeros((len(pairs), len(CLASSES)))
        # Pairs of like length together: padding is work for nothing.
        order = sorted(range(len(pairs)), key=lambda row: len(pairs[row][0]) + len(pairs[row][1]))
        with torch.inference_mode():
            for start in range(0, len(order), self.batch):
                rows = order[start : start + self.batch]
                read = tokenizer(
                    [pairs[row][0] for row in rows],
                    [pairs[row][1] for row in rows],
                    padding=True,
                    return_tensors="pt",
                    verbose=False,
                )
                shares = torch.softmax(model(**read).logits.double(), dim=-1).numpy()
                for column, meaning in self.classes.items():
                    result[rows, CLASSES.index(meaning)] += shares[:, column]
        return result

    def _decide(
        self, claim: Claim, rows: list[int], pairs: list[tuple[Document, str]], scores: NDArray[np.float64]
    ) -> Ruling | None:
        best = max(rows, key=lambda row: scores[row, 0])
        worst = max(rows, key=lambda row: scores[row, 2])
        yes, no = float(scores[best, 0]), float(scores[worst, 2])
        if yes >= self.entailed and no >= self.contradicted:
            sources = f"{pairs[best][0].id} entails it ({yes:.2f}), {pairs[worst][0].id} contradicts it ({no:.2f})"
            return Ruling(claim, "unverifiable", None, note=f"the texts disagree: {sources}")
        if yes >= self.entailed:
            return Ruling(claim, "supported", "nli", pairs[best][0].text, pairs[best][0].id, f"P(entailment) {yes:.2f}")
        if no >= self.contradicted:
            said = f"P(contradiction) {no:.2f}"
            return Ruling(claim, "contradicted", "nli", pairs[worst][0].text, pairs[worst][0].id, said)
        return None

    def _parts(self, documents: Sequence[Document], sentence: str) -> list[Document]:
        """The texts in parts that fit before the sentence; none where the sentence alone fills the model."""
        tokenizer, _ = self._loaded
        room = self._limit - self._count([sentence])[0] - tokenizer.num_special_tokens_to_add(pair=True)
        # A quarter is kept free in short models: parts are joined from units that were counted one by one.
        most = min(self.premise, room if room > 2 * self.premise else room * 3 // 4)
        return list(chunked(documents, self._count, most)) if documents and most >= 4 else []

    def _count(self, given: Sequence[str]) -> list[int]:
        tokenizer, _ = self._loaded
        return [len(ids) for ids in tokenizer(list(given), add_special_tokens=False, verbose=False)["input_ids"]]

    @cached_property
    def _limit(self) -> int:
        positions = int(getattr(self._config, "max_position_embeddings", 512))
        if self._config.model_type in _SHIFTED:
            positions -= 2
        return min(positions, int(self._loaded[0].model_max_length))

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(self.folder, local_files_only=True)  # type: ignore[no-untyped-call]
            model, report = AutoModelForSequenceClassification.from_pretrained(
                self.folder, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
        except (OSError, ValueError) as error:
            raise ConfigError(f"nli: {str(self.folder)!r} cannot be loaded: {error}") from error
        if report["missing_keys"]:
            # An encoder without a head would be given a random one, and rule at random.
            lacking = ", ".join(sorted(report["missing_keys"])[:3])
            raise ConfigError(f"nli: {str(self.folder)!r} lacks weights ({lacking}); name a trained NLI model")
        return tokenizer, model.eval()


def read_labels(id2label: Mapping[Any, str], labels: Mapping[str, str] | None) -> dict[int, str]:
    """Which column of the logits means what.

    Args:
        id2label: of the model's configuration.
        labels: the user's mapping; see `NliRung`.

    Raises:
        ConfigError: the names do not say it, or the mapping does not fit.
    """
    names = {int(column): str(name) for column, name in id2label.items()}
    shown = ", ".join(names[column] for column in sorted(names))
    if labels is not None:
        given = {str(name): meaning for name, meaning in labels.items()}
        for name, meaning in given.items():
            if name not in names.values():
                raise ConfigError(f"nli.labels: {name!r} must be one of the model's classes: {shown}")
            if meaning not in CLASSES:
                raise ConfigError(f"nli.labels.{name}: {meaning!r} must be one of {', '.join(CLASSES)}")
        if left := sorted(set(names.values()) - set(given)):
            raise ConfigError(f"nli.labels: {left[0]!r} must be mapped too; the model's classes are {shown}")
        if "entailment" not in given.values():
            raise ConfigError("nli.labels: one class must mean entailment")
        return {column: given[name] for column, name in names.items()}
    if all(_GENERIC.fullmatch(name.strip()) for name in names.values()):
        raise ConfigError(f"nli: the classes are named {shown}, which says nothing; map them with labels:")
    if len(names) != len(CLASSES):
        raise ConfigError(f"nli: the model has {len(names)} classes ({shown}), not 3; map them with labels:")
    found = {column: name.strip().casefold() for column, name in names.items()}
    if set(found.values()) != set(CLASSES):
        raise ConfigError(f"nli: the classes {shown} must be {', '.join(CLASSES)}; map them with labels:")
    return found
