"""FA*IR: in every prefix of a list at least as many protected items as chance would put there."""

from __future__ import annotations

from collections.abc import Sequence

from audit import stats
from audit.defense import DefenseInfo
from audit.edits import Zone
from audit.errors import ConfigError
from audit.target import Recommender
from audit.types import Catalog, Ranked, Request
from defenses.fairness.rerank import MISSING, Order, Reranked, check_depth, column_of, groups_of

_WHERE = "defenses.fa-star-ir"


class FaStarIr:
    """Gives protected items a place in every prefix, and otherwise keeps the target's order.

    It asks for nothing where (1 - p) to the power of k is α or more: so short a list without a protected item is
    ordinary. The answer's detail then says so.

    Args:
        catalog: the items.
        column: of the items; None for the catalogue's genres.
        protected: values of the column whose items are protected.
        share: p, the share of protected items that a fair list is drawn with; None for their share of the catalogue.
        alpha: chance of a fair list to be corrected, over all prefixes together.
        depth: how many times as long a list the target is asked for.

    Raises:
        ConfigError: an option that cannot be used.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        column: str | None = None,
        protected: Sequence[str] = (),
        share: float | None = None,
        alpha: float = 0.1,
        depth: int = 3,
    ) -> None:
        if share is not None and not 0.0 < share < 1.0:
            raise ConfigError(f"{_WHERE}.share: {share} must be between 0 and 1")
        if not 0.0 < alpha < 1.0:
            raise ConfigError(f"{_WHERE}.alpha: {alpha} must be between 0 and 1")
        if isinstance(protected, str):
            raise ConfigError(f"{_WHERE}.protected: {protected!r} must be a list of values")
        check_depth(depth, _WHERE)
        self.catalog = catalog
        self.column = column_of(catalog, column, _WHERE)
        known = sorted({group for item in catalog.items_in_order for group in groups_of(item, self.column)})
        for name in protected:
            if name not in known:
                raise ConfigError(f"{_WHERE}.protected: {name!r} is no {self.column} of the items")
        # Without a name the rarest group is meant: it is the one that lists forget first.
        rarest = sorted(known, key=lambda g: (sum(g in groups_of(i, self.column) for i in catalog.items_in_order), g))
        self.protected = frozenset(protected or rarest[:1])
        self.share = share if share is not None else self._share()
        self.alpha = alpha
        self.depth = depth

    def _share(self) -> float:
        items = self.catalog.items_in_order
        held = sum(bool(self.protected & set(groups_of(item, self.column))) for item in items)
        return min(max(held / max(1, len(items)), 0.01), 0.99)

    @property
    def info(self) -> DefenseInfo:
        """The declaration."""
        return DefenseInfo(
            id="fa-star-ir",
            title=f"FA*IR for {', '.join(sorted(self.protected))}",
            why="No prefix of a list has fewer items of a group than chance would give it.",
            reference="Zehlike et al., CIKM 2017 (arXiv 1706.06368)",
            family="output",
            guards=frozenset({Zone.PLATFORM}),
            tasks=("rank",),
            missing="" if self.column else MISSING,
            limits="Groups that are not named; protected items that the longer list does not hold; and quality, where "
            "protected items are the worse ones.",
            controls=("eu-ai-act:2024:art10",),
        )

    def protect(self, target: Recommender) -> FairPrefixes:
        """The target, with its prefixes kept fair."""
        return FairPrefixes(target, self)


class FairPrefixes(Reranked):
    """A target whose prefixes hold enough protected items."""

    def __init__(self, target: Recommender, defense: FaStarIr) -> None:
        options = {
            "column": defense.column,
            "protected": sorted(defense.protected),
            "share": defense.share,
            "alpha": defense.alpha,
        }
        super().__init__(target, defense.info, options, defense.catalog, defense.depth)
        self._defense = defense

    def order(self, request: Request, entries: Sequence[Ranked], relevance: Sequence[float], draw: int) -> Order:
        """Place by place the best entry, unless the prefix would then hold too few: then the best protected one."""
        d = self._defense
        k = min(request.k, len(entries))
        needed = stats.prefix_minimums(k, d.share, stats.prefix_alpha(k, d.share, d.alpha))
        inside = [bool(d.protected & set(groups_of(self.item(request, e), d.column))) for e in entries]
        waiting, order, held, remark = list(range(len(entries))), [], 0, ""
        if not needed[-1]:
            remark = f"a share of {d.share:.3g} asks for no protected item in {k} places; raise share, or ask for more"
        for minimum in needed:
            short = held < minimum
            at = next((n for n, i in enumerate(waiting) if inside[i]), 0) if short else 0
            order.append(waiting.pop(at))
            held += inside[order[-1]]
            if held < minimum and not remark:
                remark = f"place {len(order)}: {held} of {minimum} protected items; the longer list holds no more"
        return order, remark
