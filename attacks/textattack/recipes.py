"""The recipes: goal, constraints, transformation and search of each paper, step by step.

They are built here and not taken from `textattack.attack_recipes`, whose builders fetch what no offline machine has
(the universal sentence encoder, counter-fitted vectors, a tagger) and are tied to classifiers. What a step leaves out
of its paper is said at the step. In every recipe the goal is the rise of the adversarial loss, and two constraints come
from the harness: `Unprotected` and `AtMostEdits`, which is also what limits the number of changed words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attacks.textattack.homoglyphs import HomoglyphSwap
from attacks.textattack.library import (
    Attack,
    CompositeTransformation,
    GreedySearch,
    GreedyWordSwapWIR,
    LevenshteinEditDistance,
    MaxWordsPerturbed,
    MinWordLength,
    RepeatModification,
    StopwordModification,
    WordDeletion,
    WordSwapEmbedding,
    WordSwapMaskedLM,
    WordSwapNeighboringCharacterSwap,
    WordSwapQWERTY,
    WordSwapRandomCharacterDeletion,
    WordSwapRandomCharacterInsertion,
    WordSwapRandomCharacterSubstitution,
    WordSwapWordNet,
)

Guards = Sequence[Any]


class WordNetSwap(WordSwapWordNet):  # type: ignore[misc]  # untyped base
    """Synonyms from WordNet. The released class tries a download whenever it is made."""

    def __init__(self) -> None:
        self.language = "eng"


class LeastImportantFirst(GreedyWordSwapWIR):  # type: ignore[misc]  # untyped base
    """Take away words in the order of their importance, the least important first.

    The released search keeps asking for words by their places in the clean text, which are no longer theirs once one
    is gone; here they are followed.
    """

    def perform_search(self, initial_result: Any) -> Any:  # noqa: ANN401 - TextAttack's own
        """Go once through the words; each that can go without the answer changing goes."""
        order, over = self._get_index_order(initial_result.attacked_text)
        best = initial_result
        for index in order:
            if over:
                break
            shorter = self.get_transformations(
                best.attacked_text,
                original_text=initial_result.attacked_text,
                indices_to_modify=[int(index)],
                shifted_idxs=True,
            )
            if shorter:
                results, over = self.get_goal_results(shorter)
                best = max([best, *results], key=lambda result: result.score)
        return best


def deepwordbug(goal: Any, guards: Guards) -> Attack:  # noqa: ANN401 - untyped library
    """DeepWordBug: Gao, Lanchantin, Soffa and Qi, SPW 2018 (arXiv 1801.04354)."""
    return Attack(
        goal,
        [
            # A word is changed once; function words stay (TextAttack's addition).
            RepeatModification(),
            StopwordModification(),
            # Section IV: the edit distance is held to 30 for each sample.
            LevenshteinEditDistance(30),
            *guards,
        ],
        # Table I, four transformers: swap two neighbours, substitute, delete, insert one letter at random.
        CompositeTransformation(
            [
                WordSwapNeighboringCharacterSwap(),
                WordSwapRandomCharacterSubstitution(),
                WordSwapRandomCharacterDeletion(),
                WordSwapRandomCharacterInsertion(),
            ]
        ),
        # Words by importance, then greedily. The paper's scores read the text head and tail apart, for a recurrent
        # network; TextAttack replaces each word by an unknown one (the replace-1 score).
        GreedyWordSwapWIR(),
    )


def pwws(goal: Any, guards: Guards) -> Attack:  # noqa: ANN401
    """PWWS: Ren, Deng, He and Che, ACL 2019 (P19-1103)."""
    return Attack(
        goal,
        [RepeatModification(), StopwordModification(), *guards],
        # Section 3.2: synonyms from WordNet. The paper keeps the part of speech and swaps named entities too, which
        # TextAttack's recipe leaves out: senses are unfiltered.
        WordNetSwap(),
        # Section 3.3: words in the order of softmax(saliency) times the best rise of the loss; saliency is the rise
        # when the word is unknown. Here the rise is in nats or gain where the paper has probabilities.
        GreedyWordSwapWIR("weighted-saliency"),
    )


def pruthi(goal: Any, guards: Guards) -> Attack:  # noqa: ANN401
    """Pruthi, Dhingra and Lipton, ACL 2019 (arXiv 1905.11268)."""
    inside = {"random_one": False, "skip_first_char": True, "skip_last_char": True}
    return Attack(
        goal,
        [
            # Section 4: words of four letters or more, no stop words, no word twice. The paper attacks with one and
            # with two changed letters; how many words may change is an option here, so that all attacks compare.
            MinWordLength(min_length=4),
            StopwordModification(),
            RepeatModification(),
            *guards,
        ],
        # Section 4: swap, drop, add, keyboard; the first and the last letter stay. Every place is tried.
        CompositeTransformation(
            [
                WordSwapNeighboringCharacterSwap(**inside),
                WordSwapRandomCharacterDeletion(**inside),
                WordSwapRandomCharacterInsertion(**inside),
                WordSwapQWERTY(**inside),
            ]
        ),
        # Section 4: all changes of all words are tried, the worst is kept, and so on for the next.
        GreedySearch(),
    )


def textbugger(goal: Any, guards: Guards, embedding: Any = None) -> Attack:  # noqa: ANN401
    """TextBugger, black box: Li, Ji, Du, Li and Wang, NDSS 2019 (arXiv 1812.05271), section III-C."""
    inside = {"random_one": True, "skip_first_char": True, "skip_last_char": True}
    bugs = [
        WordSwapRandomCharacterInsertion(letters_to_insert=" ", **inside),  # Insert: a space inside the word
        WordSwapRandomCharacterDeletion(**inside),  # Delete
        WordSwapNeighboringCharacterSwap(**inside),  # Swap
        HomoglyphSwap(),  # Sub-C, by look; the released table is not in the wheel
    ]
    if embedding is not None:
        # Sub-W: the five nearest words in an embedding. The paper's is GloVe, which no package carries: only with
        # vectors of the user's own.
        bugs.append(WordSwapEmbedding(max_candidates=5, embedding=embedding))
    return Attack(
        goal,
        # The paper also asks for a similarity of 0.8 by the universal sentence encoder, which cannot be had offline;
        # the harness measures similarity on the edited field instead, and the number of changed words is limited.
        [RepeatModification(), StopwordModification(), *guards],
        CompositeTransformation(bugs),
        # Algorithm 2, but by words instead of sentences first: what a word is worth is seen by deleting it.
        GreedyWordSwapWIR(wir_method="delete"),
    )


def homoglyph_swap(goal: Any, guards: Guards) -> Attack:  # noqa: ANN401
    """The homoglyph perturbation of Boucher et al., IEEE S&P 2022 (arXiv 2106.09898), with a greedy search."""
    return Attack(
        goal,
        [RepeatModification(), StopwordModification(), *guards],
        HomoglyphSwap(),
        # The paper searches by differential evolution (population 32, 10 generations: 320 queries and more); by
        # importance it costs one query per word and one per letter of the chosen words.
        GreedyWordSwapWIR(wir_method="delete"),
    )


def bert_attack(goal: Any, guards: Guards, masked_lm: Any, tokenizer: Any, length: int) -> Attack:  # noqa: ANN401
    """BERT-Attack: Li, Ma, Guo, Xue and Qiu, EMNLP 2020 (arXiv 2004.09984)."""
    return Attack(
        goal,
        [
            RepeatModification(),
            StopwordModification(),
            # Section 3.1: at most 40 % of the words (from correspondence, as TextAttack quotes it).
            MaxWordsPerturbed(max_percent=0.4),
            # A sentence encoder's similarity of 0.2 is left out: the encoder cannot be had offline.
            *guards,
        ],
        # Section 3.2: the K most probable words at the place, from the text as it is, without a mask. K is 48 in the
        # paper; TextAttack takes 8, because words of n pieces have K to the n combinations.
        WordSwapMaskedLM(
            method="bert-attack",
            masked_language_model=masked_lm,
            tokenizer=tokenizer,
            max_length=length,
            max_candidates=8,
        ),
        # Section 3.1: importance by putting an unknown word in place of each.
        GreedyWordSwapWIR(wir_method="unk"),
    )


def bae(goal: Any, guards: Guards, masked_lm: Any, tokenizer: Any, length: int) -> Attack:  # noqa: ANN401
    """BAE-R: Garg and Ramakrishnan, EMNLP 2020 (arXiv 2004.01970)."""
    return Attack(
        goal,
        # The paper also keeps the part of speech and a sentence encoder's similarity of 0.8; tagger and encoder cannot
        # be had offline, so fluency is what the masked model gives.
        [RepeatModification(), StopwordModification(), *guards],
        # Section 2: mask the word, take the 50 most probable fillers.
        WordSwapMaskedLM(
            method="bae",
            masked_language_model=masked_lm,
            tokenizer=tokenizer,
            max_length=length,
            max_candidates=50,
            min_confidence=0.0,
        ),
        # Section 2: importance by deleting each word.
        GreedyWordSwapWIR(wir_method="delete"),
    )


def input_reduction(goal: Any, guards: Guards) -> Attack:  # noqa: ANN401
    """Input reduction: Feng et al., EMNLP 2018 (arXiv 1804.07781)."""
    return Attack(
        goal,
        [*guards],
        # Section 2: take away one word at a time, for as long as the answer stays the same.
        WordDeletion(),
        # The least important first. The paper weighs all words anew after each step, with a beam of five; one
        # weighing costs a query per word and is kept, as in TextAttack's recipe.
        LeastImportantFirst(wir_method="delete"),
    )
