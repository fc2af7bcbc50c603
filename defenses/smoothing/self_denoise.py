"""Self-Denoise: answer from copies that have lost most of what an adversary may have written, denoised, by vote.

Source: Zhang et al., "Certified Robustness for Large Language Models with Self-Denoising", 2023 (arXiv 2307.07171), and
Ji et al., NAACL 2024 (arXiv 2404.12274), carried over to recommenders. Where it departs from them, each for a reason:

- What is lost is a unit of the adversary's control, a history item with all its text or a word of the scored item's own
  text, and never a word of the instruction.
- Most is lost, not 5 %: a copy that keeps half the units or more certifies nothing.
- Copies are rebuilt from what they keep, without marks, so that insertions and deletions are certified too (kernel K2).
- Where there are few ways to keep k of h units all of them are counted, and nothing is sampled.
- The radius is the largest that holds, with beta = 1. The released code reports the first that fails, with beta = p̂.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from audit.defense import Defended, DefenseInfo
from audit.edits import Zone
from audit.errors import ConfigError
from audit.target import Input, Recommender
from audit.types import Catalog
from defenses.smoothing.ablation import Certifier, Mode, Sampling
from defenses.smoothing.denoise import CooccurrenceFill, Filler, LanguageFill
from defenses.smoothing.denoised import SelfDenoised, Unit
from defenses.smoothing.fill_words import WordFill
from defenses.smoothing.kernels import Kernel, KernelName
from defenses.smoothing.votes import Counting, Places, Rule
from defenses.smoothing.writer import Writer

if TYPE_CHECKING:
    from audit.data.dataset import Dataset

Denoise = Literal["remove", "fill"]
FillBy = Literal["auto", "language-model", "cooccurrence"]

_ID = "self-denoise"


@dataclass(frozen=True)
class SelfDenoise:
    """Keep k units at a time, denoise, ask, vote.

    Attributes:
        catalog: for rankings of the whole catalogue, and for titles that a language model fills in.
        dataset: the log for filling by co-occurrence, without the users under audit.
        kept: k, how many units a copy keeps (kernels K1 and K2).
        kernel: see `Kernel`.
        drop: q, the chance that a unit is lost (kernel K3).
        unit: `history`, an item of the history with its text and rating; `item-words`, a word of the title and text of
            the scored item, each candidate by itself.
        window: most history items that count, latest first; None for all. With it the copies of a long history are few.
        denoise: `remove` what is lost; `fill` in something that fits what is kept.
        fill_by: `language-model`, that in `model` or else the target's own; `cooccurrence`, in `dataset`; `auto`, a
            model where there is one, else co-occurrence.
        model: folder of the language model that fills.
        added: most units that are filled in for K2 and K3, whose copies do not know how many were lost.
        mode: see `Sampling`, like `limit`, `samples`, `certify_samples`, `alpha`, `seed` and `certificate`.
        limit: most kept sets that `auto` counts.
        samples: copies behind an answer, where they are random.
        certify_samples: fresh copies behind a certificate.
        alpha: error level of all claims about one request.
        seed: of the draws.
        certificate: `strict`, or the numbers of the released code for comparison.
        rule: see `Counting`, like `places`, `depth` and `threshold`.
        places: worth of a place in a list.
        depth: entries of a copy's list that are votes; None for the request's k.
        threshold: share of votes above which the decision is yes.
    """

    catalog: Catalog | None = field(default=None, repr=False)
    dataset: Dataset | None = field(default=None, repr=False)
    kept: int = 2
    kernel: KernelName = "K2"
    drop: float = 0.8
    unit: Unit = "history"
    window: int | None = 20
    denoise: Denoise = "remove"
    fill_by: FillBy = "auto"
    model: str | Path | None = None
    added: int = 2
    mode: Mode = "auto"
    limit: int = 300
    samples: int = 100
    certify_samples: int = 1000
    alpha: float = 0.001
    seed: int = 0
    certificate: Certifier = "strict"
    rule: Rule = "share"
    places: Places = "borda"
    depth: int | None = None
    threshold: float = 0.5

    def __post_init__(self) -> None:
        where = f"defenses.{_ID}"
        for name, known in (("unit", get_args(Unit)), ("denoise", get_args(Denoise)), ("fill_by", get_args(FillBy))):
            if getattr(self, name) not in known:
                raise ConfigError(f"{where}.{name}: {getattr(self, name)!r} must be one of {', '.join(known)}")
        self._kernel.check(_ID)
        self._sampling.check(_ID)
        self._counting.check(_ID)
        if self.window is not None and self.window < self._kernel.fewest:
            raise ConfigError(f"{where}.window: {self.window} is less than the {self.kept} units that a copy keeps")
        if self.added < 1:
            raise ConfigError(f"{where}.added: {self.added} must be at least 1; use denoise: remove to add nothing")
        if self.model is not None and not Path(self.model).is_dir():
            raise ConfigError(f"{where}.model: {str(self.model)!r} is not a folder; give that of a language model")
        if self.mode == "exact" and self.kernel == "K3":
            raise ConfigError(f"{where}.mode: the kept sets of K3 are not equally likely; use monte-carlo or auto")
        if self.certificate == "heuristic-released-code" and self.kernel == "K3":
            raise ConfigError(f"{where}.certificate: the released code knows no kernel K3; use K1 or K2")
        if self.denoise == "fill" and self.unit == "item-words" and self.fill_by == "cooccurrence":
            raise ConfigError(f"{where}.fill_by: words of a text do not co-occur in a log; use language-model")

    @property
    def _kernel(self) -> Kernel:
        return Kernel(self.kernel, self.kept, self.drop)

    @property
    def _sampling(self) -> Sampling:
        return Sampling(
            self.mode, self.limit, self.samples, self.certify_samples, self.alpha, self.seed, self.certificate
        )

    @property
    def _counting(self) -> Counting:
        return Counting(self.rule, self.places, self.depth, self.threshold)

    @property
    def _window(self) -> int | None:
        return self.window if self.unit == "history" else None

    @property
    def info(self) -> DefenseInfo:
        """The declaration."""
        history = self.unit == "history"
        kernel = self._kernel
        # With a window the number of kept sets has a bound, so that all may always be counted.
        most = 0 if self._window is None else kernel.count(self._window)
        exact = self.mode == "exact" or (self.mode == "auto" and 0 < most <= self.limit)
        usual = kernel.count(max(10, self.kept)) if self.kernel != "K3" else 0
        copies = usual if exact or (self.mode == "auto" and 0 < usual <= self.limit) else self.samples
        return DefenseInfo(
            id=_ID,
            title="Self-Denoise" + (" with filling" if self.denoise == "fill" else ""),
            why="No single entry of a history can decide an answer that many small parts of it must agree on."
            if history
            else "No single word of a seller's text can decide an answer that many small parts of it must agree on.",
            reference="Zhang et al. 2023 (arXiv 2307.07171); Ji et al., NAACL 2024 (arXiv 2404.12274)",
            family="smoothing",
            guards=frozenset({Zone.PLATFORM if history else Zone.SELLER}),
            calls=float(copies * (2 if self.denoise == "fill" and self.fill_by != "cooccurrence" else 1)),
            randomised=not exact,
            needs=frozenset({Input.HISTORY if history else Input.ITEM_TEXT}),
            tasks=("score", "rank") if history else ("score",),
            limits="More edited units than the radius, and anything that is in every copy: instruction, note, "
            + ("the text of candidates" if history else "the history, other items")
            + ".",
        )

    def protect(self, target: Recommender) -> SelfDenoised:
        """The smoothed target.

        Raises:
            ConfigError: there is nothing to fill with, or exact counting of a target that draws its answers.
            TargetError: the language model that fills cannot be loaded.
        """
        items, words = self._fillers(target)
        catalog = self.catalog or (self.dataset.catalog if self.dataset else None)
        filler = items or words
        return SelfDenoised(
            target,
            self.info,
            {"denoise": self.denoise, "added": self.added, "filler": filler.identity if filler else ""},
            kernel=self._kernel,
            sampling=self._sampling,
            counting=self._counting,
            unit=self.unit,
            window=self._window,
            catalog_size=None if catalog is None else len(catalog),
            items=items,
            words=words,
            added=self.added,
        )

    def _fillers(self, target: Recommender) -> tuple[Filler | None, WordFill | None]:
        if self.denoise == "remove":
            return None, None
        where = f"defenses.{_ID}.fill_by"
        writer = self._writer(target) if self.fill_by != "cooccurrence" else None
        if self.unit == "item-words":
            if writer is None:
                raise ConfigError(f"{where}: words are filled in by a language model; give its folder as model")
            return None, WordFill(writer)
        catalog = self.catalog or (self.dataset.catalog if self.dataset else None)
        if writer is not None and catalog is not None:
            return LanguageFill(writer, catalog), None
        if self.fill_by == "language-model":
            lacking = "catalog of the titles it may name" if writer else "language model; give its folder as model"
            raise ConfigError(f"{where}: there is no {lacking}")
        if self.dataset is None:
            raise ConfigError(f"{where}: there is no dataset whose items could be filled in; give one, or a model")
        return CooccurrenceFill(self.dataset), None

    def _writer(self, target: Recommender) -> Writer | None:
        """The model in `model`, else the target's own."""
        from audit.targets.hf import HFTarget

        if self.model is not None:
            return Writer.from_folder(self.model)
        while isinstance(target, Defended):
            target = target.target
        return Writer(target.lm) if isinstance(target, HFTarget) else None
