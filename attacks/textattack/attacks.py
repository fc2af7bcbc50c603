"""The registered attacks: one dataclass per recipe, with its options and what it declares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attacks.textattack.search import Recipe
from audit.attack import AttackInfo

if TYPE_CHECKING:
    from attacks.textattack.goal import RaiseLoss
    from attacks.textattack.wrapper import Target


@dataclass(frozen=True)
class DeepWordBug(Recipe):
    """One letter of the most important words swapped, substituted, dropped or added at random."""

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        return self.declare(
            id="deepwordbug",
            title="Misspelt key words (DeepWordBug)",
            why="A few wrong letters in the words that matter most cost an attacker nothing and look like haste.",
            reference="Gao, Lanchantin, Soffa and Qi, DeepWordBug, IEEE SPW 2018 (arXiv 1801.04354)",
        )

    def build(self, goal: RaiseLoss, guards: Sequence[Any], text: str) -> Any:  # noqa: ANN401
        """See `attacks.textattack.recipes.deepwordbug`."""
        from attacks.textattack import recipes

        return recipes.deepwordbug(goal, guards)


@dataclass(frozen=True)
class Pwws(Recipe):
    """The words with most weight replaced by their WordNet synonyms."""

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        return self.declare(
            id="pwws",
            title="Synonyms of key words (PWWS)",
            why="A request in other words should get the same answer; here the other words are chosen against it.",
            reference="Ren, Deng, He and Che, PWWS, ACL 2019 (P19-1103)",
        )

    def build(self, goal: RaiseLoss, guards: Sequence[Any], text: str) -> Any:  # noqa: ANN401
        """See `attacks.textattack.recipes.pwws`; WordNet is fetched first where it is not in the cache."""
        from attacks.textattack import recipes
        from attacks.textattack.runtime import load_wordnet

        load_wordnet()
        return recipes.pwws(goal, guards)


@dataclass(frozen=True)
class Pruthi(Recipe):
    """The worst of all typing slips inside words: swap, drop, add, neighbouring key."""

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        return self.declare(
            id="pruthi",
            title="The worst typing slips (Pruthi)",
            why="Random slips may be harmless where the worst of them are not; both come in with every day's traffic.",
            reference="Pruthi, Dhingra and Lipton, ACL 2019 (arXiv 1905.11268)",
        )

    def build(self, goal: RaiseLoss, guards: Sequence[Any], text: str) -> Any:  # noqa: ANN401
        """See `attacks.textattack.recipes.pruthi`."""
        from attacks.textattack import recipes

        return recipes.pruthi(goal, guards)


@dataclass(frozen=True)
class TextBugger(Recipe):
    """Spaces, dropped and swapped letters, look-alike letters; near words where vectors are given.

    Attributes:
        embedding: a text file of word vectors, a word and its numbers per line, for the paper's fifth bug; without it
            four of the five are made.
    """

    embedding: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.embedding is not None and not Path(self.embedding).is_file():
            raise ValueError(f"embedding: {self.embedding!r} is not a file of word vectors")

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        return self.declare(
            id="textbugger",
            title="Bugs in key words (TextBugger)",
            why="A space or a look-alike letter inside a word is hardly seen, and makes it another word to a model.",
            reference="Li, Ji, Du, Li and Wang, TextBugger, NDSS 2019 (arXiv 1812.05271)",
        )

    def build(self, goal: RaiseLoss, guards: Sequence[Any], text: str) -> Any:  # noqa: ANN401
        """See `attacks.textattack.recipes.textbugger`."""
        from attacks.textattack import recipes, resources

        vectors = resources.embedding(self.embedding) if self.embedding is not None else None
        return recipes.textbugger(goal, guards, vectors)


@dataclass(frozen=True)
class HomoglyphSwap(Recipe):
    """Letters of the most important words replaced by Cyrillic or Greek ones of the same shape."""

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        return self.declare(
            id="homoglyph-swap",
            title="Look-alike letters",
            why="No person sees the change, so nobody who approves a text by reading it can stop it.",
            reference="Boucher, Shumailov, Anderson and Papernot, Bad Characters, IEEE S&P 2022 (arXiv 2106.09898)",
        )

    def build(self, goal: RaiseLoss, guards: Sequence[Any], text: str) -> Any:  # noqa: ANN401
        """See `attacks.textattack.recipes.homoglyph_swap`."""
        from attacks.textattack import recipes

        return recipes.homoglyph_swap(goal, guards)


@dataclass(frozen=True)
class _Masked(Recipe):
    """A recipe that fills words in with a masked language model.

    Attributes:
        masked_lm: a local folder with a Hugging Face masked language model (safetensors) and its tokenizer.
    """

    masked_lm: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.masked_lm is not None and not Path(self.masked_lm).is_dir():
            raise ValueError(f"masked_lm: {self.masked_lm!r} is not a folder with a Hugging Face masked LM")

    @property
    def _missing(self) -> str:
        return "" if self.masked_lm is not None else "name a masked LM, a local folder, with the option masked_lm"

    def _model(self, text: str) -> dict[str, Any]:
        from attacks.textattack import resources

        model, tokenizer, longest = resources.masked_lm(str(self.masked_lm))
        return {"masked_lm": model, "tokenizer": tokenizer, "length": resources.padded_length(tokenizer, text, longest)}


@dataclass(frozen=True)
class BertAttack(_Masked):
    """The most important words replaced by what a masked model holds probable at their place, word piece by piece."""

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        return self.declare(
            id="bert-attack",
            title="Words a language model puts in (BERT-Attack)",
            why="Fluent replacements pass a reader and a spelling check, unlike typing slips.",
            reference="Li, Ma, Guo, Xue and Qiu, BERT-Attack, EMNLP 2020 (arXiv 2004.09984)",
            missing=self._missing,
        )

    def build(self, goal: RaiseLoss, guards: Sequence[Any], text: str) -> Any:  # noqa: ANN401
        """See `attacks.textattack.recipes.bert_attack`."""
        from attacks.textattack import recipes

        return recipes.bert_attack(goal, guards, **self._model(text))


@dataclass(frozen=True)
class Bae(_Masked):
    """The most important words masked and filled in by a masked model (BAE-R)."""

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        return self.declare(
            id="bae",
            title="Masked words filled in (BAE)",
            why="Fluent replacements pass a reader and a spelling check, unlike typing slips.",
            reference="Garg and Ramakrishnan, BAE, EMNLP 2020 (arXiv 2004.01970)",
            missing=self._missing,
        )

    def build(self, goal: RaiseLoss, guards: Sequence[Any], text: str) -> Any:  # noqa: ANN401
        """See `attacks.textattack.recipes.bae`."""
        from attacks.textattack import recipes

        return recipes.bae(goal, guards, **self._model(text))


@dataclass(frozen=True)
class InputReduction(Recipe):
    """As many words as possible taken away while the answer holds: a probe of what the target reads at all.

    Its success is the opposite of the other attacks': a target that answers a stump of a request as it answers the
    whole has not read the request. So a flip rate near zero is no good news here; how little is left is the finding.

    Attributes:
        words: most words or runs of words that may go.
        slack: by how much the loss may rise while the answer counts as held.
    """

    words: int = 100
    slack: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.slack < 0:
            raise ValueError(f"slack: {self.slack} must be at least 0")

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        return self.declare(
            id="input-reduction",
            title="Words taken away while the answer holds (input reduction)",
            why="A target that answers a few leftover words as it answers the whole request does not read the request.",
            reference="Feng, Wallace, Grissom, Iyyer, Rodriguez and Boyd-Graber, EMNLP 2018 (arXiv 1804.07781)",
            severity="low",
        )

    def goal(self, target: Target) -> RaiseLoss:
        """Few words, at the same answer."""
        from attacks.textattack.goal import Reduce

        return Reduce(target, self.slack)

    def build(self, goal: RaiseLoss, guards: Sequence[Any], text: str) -> Any:  # noqa: ANN401
        """See `attacks.textattack.recipes.input_reduction`."""
        from attacks.textattack import recipes

        return recipes.input_reduction(goal, guards)
