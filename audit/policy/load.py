"""Reading policies: built-in packs and files, what they extend, and several of them together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError, field_validator

from audit import registry
from audit.config import read_yaml, sentence
from audit.errors import ConfigError, nearest
from audit.policy.framework import Bearing
from audit.policy.policy import Policy
from audit.policy.rule import Rule
from audit.policy.selector import Requirement, Selector


class PolicyFile(Policy):
    """A policy as its file says it.

    Attributes:
        extends: a built-in policy or a file that this one starts from. Its own rules are asked first; what it says of
            `certainty:` and `require:` takes the place of what was there; waivers and frameworks are added.
        without: metrics whose rules are not taken over from the policy it extends.
    """

    extends: str | None = None
    without: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()

    @field_validator("rules")
    @classmethod
    def _of_no_pack(cls, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        if any(rule.pack for rule in rules):
            raise ValueError("pack: it is set where several policies are taken together; leave it out")
        return rules


def packs() -> list[str]:
    """Names of the built-in policies."""
    return sorted(p.name.removesuffix(".yaml") for p in files("audit.policies").iterdir() if p.name.endswith(".yaml"))


def load(name: str | Sequence[str], base: Path) -> Policy:
    """A built-in pack by name, or a file; or several, and then a finding has to meet every one.

    Args:
        name: one name or path, or a list of them.
        base: folder that a relative path starts from.

    Raises:
        ConfigError: no such pack or file, or a mistake in it, such as an unknown metric (with the nearest known).
    """
    if isinstance(name, str):
        return _one(name, base, ())
    if not name:
        raise ConfigError("policy: the list is empty; name at least one policy, such as default")
    return together([_one(part, base, ()) for part in name])


def together(policies: Sequence[Policy]) -> Policy:
    """Several policies as one: every requirement, waiver and framework of each, and of their verdicts the worst."""
    if len(policies) == 1:
        return policies[0]
    layers: list[tuple[str, tuple[Rule, ...]]] = []
    for policy in policies:  # two packs with the same rules, such as two frameworks on the default's, judge once
        if policy.rules not in [rules for _, rules in layers]:
            layers.append((policy.name, policy.rules))
    return Policy(
        name=" + ".join(dict.fromkeys(p.name for p in policies)),
        description=" ".join(dict.fromkeys(p.description for p in policies if p.description)),
        certainty=any(p.certainty for p in policies),
        require=_each_once([need for p in policies for need in p.require]),
        rules=tuple(
            rule.model_copy(update={"pack": pack if len(layers) > 1 else ""})
            for pack, rules in layers
            for rule in rules
        ),
        waivers=_each_once([w for p in policies for w in p.waivers]),
        frameworks=_each_once([f for p in policies for f in p.frameworks]),
    )


def _each_once(things: Sequence[Any]) -> tuple[Any, ...]:
    kept: list[Any] = []
    for thing in things:
        if thing not in kept:
            kept.append(thing)
    return tuple(kept)


def _one(name: str, base: Path, above: tuple[Path, ...]) -> Policy:
    path = _find(name, base)
    if path in above:
        chain = " -> ".join(p.name for p in (*above, path))
        raise ConfigError(f"{path.name}: extends: {name!r} goes round in a circle ({chain}); let one of them end it")
    data = read_yaml(path)
    try:
        found = PolicyFile.model_validate(dict(data))
    except ValidationError as error:
        raise ConfigError(sentence(error, PolicyFile, path.name)) from error
    _check(found, path.name)
    if found.extends is None:
        if found.without:
            raise ConfigError(
                f"{path.name}: without: {found.without[0]!r} takes nothing away; it needs `extends:` beside it"
            )
        if not found.rules:
            fault = "rules: it is empty" if "rules" in found.model_fields_set else "rules is missing"
            raise ConfigError(f"{path.name}: {fault}; add `rules:`, or `extends: default` to start from those")
        return Policy.model_validate(_plain(found))
    lower = _one(found.extends, path.parent, (*above, path))
    taken = {rule.metric for rule in lower.rules}
    for metric in found.without:
        if metric not in taken:
            raise ConfigError(
                f"{path.name}: without: {metric!r} has no rule in {found.extends!r}; {nearest(metric, taken)}"
            )
    said = found.model_fields_set
    own = {(r.metric, _where(r), r.value) for r in found.rules}
    return Policy(
        name=found.name,
        description=found.description or lower.description,
        certainty=found.certainty if "certainty" in said else lower.certainty,
        require=found.require if "require" in said else lower.require,
        rules=(
            *found.rules,
            *(r for r in lower.rules if r.metric not in found.without and (r.metric, _where(r), r.value) not in own),
        ),
        waivers=_each_once([*found.waivers, *lower.waivers]),
        frameworks=_each_once([*found.frameworks, *lower.frameworks]),
    )


def _plain(found: PolicyFile) -> dict[str, Any]:
    return {name: getattr(found, name) for name in Policy.model_fields}


def _where(rule: Selector) -> tuple[tuple[str, object], ...]:
    return tuple(sorted(rule.where.items()))


def _find(name: str, base: Path) -> Path:
    builtin = packs()
    if name in builtin:
        return Path(str(files("audit.policies").joinpath(f"{name}.yaml")))
    if name.endswith((".yaml", ".yml")) or (base / name).is_file():
        return base / name
    raise ConfigError(f"policy: {name!r} is neither a built-in policy nor a file; {nearest(name, builtin)}")


def _check(policy: PolicyFile, file: str) -> None:
    """Refuse names that nothing has: metrics, modules, attacks, defenses, controls.

    Raises:
        ConfigError: with the place, and the nearest known name.
    """
    known = known_metrics()
    modules = registry.available("modules")
    attacks = registry.available("attacks")
    whole = {f"{module}.*" for module in modules}
    for place, selector in _selectors(policy):
        named = isinstance(selector, Requirement) or (isinstance(selector, Bearing) and selector.metric in whole)
        if selector.metric not in known and not named:
            raise ConfigError(
                f"{file}: {place}.metric: {selector.metric!r} is unknown; {nearest(selector.metric, known)}"
            )
        # The one param whose values are known before a run. (Defenses may be stacked, and so have names of their own.)
        attack = selector.where.get("attack")
        if isinstance(attack, str) and attack not in attacks:
            raise ConfigError(f"{file}: {place}.where.attack: {attack!r} is not an attack; {nearest(attack, attacks)}")
    for need in policy.require:
        if need.metric not in known and (need.metric not in modules or need.where):
            kind, names = ("a metric", known) if "." in need.metric else ("a module", modules)
            if need.metric in modules:
                kind, names = "a metric, and `where:` narrows a metric", known
            raise ConfigError(f"{file}: require: {need.metric!r} is not {kind}; {nearest(need.metric, names)}")


def _selectors(policy: PolicyFile) -> Iterator[tuple[str, Selector]]:
    """Everything that picks findings, with its place in the file."""
    for i, rule in enumerate(policy.rules):
        yield f"rules.{i}", rule
    for i, waiver in enumerate(policy.waivers):
        yield f"waivers.{i}", waiver
    for i, need in enumerate(policy.require):
        yield f"require.{i}", need
    for i, framework in enumerate(policy.frameworks):
        for j, control in enumerate(framework.controls):
            for k, bearing in enumerate(control.bears):
                yield f"frameworks.{i}.controls.{j}.bears.{k}", bearing


def known_metrics() -> set[str]:
    """Every `module.metric` that an installed module can report."""
    return {
        f"{name}.{metric}"
        for name in registry.available("modules")
        for metric in registry.load("modules", name, where="policy")().info.metrics
    }
