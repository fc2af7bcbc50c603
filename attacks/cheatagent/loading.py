"""From the option `agent` to an agent."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from attacks.cheatagent import prompts
from attacks.cheatagent.agent import Agent, LMAgent
from audit.errors import ConfigError, nearest
from audit.targets.weights import lacking
from audit.types import Catalog

if TYPE_CHECKING:
    from attacks.cheatagent.reader import Reader
    from audit.targets.language_model import LanguageModel

_MODEL = ("model", "gguf_file", "adapter", "revision", "dtype")
_CHAT = ("model", "base_url", "api_key_env", "temperature", "max_tokens", "timeout_s")


def build(agent: object, catalog: Catalog) -> Agent:
    """The agent that an option names.

    Args:
        agent: None for SmolLM2; a folder, a GGUF file or a hub name; a mapping with `kind` `hf` or `openai` and that
            kind's fields; or an agent of your own.
        catalog: the items it may name.

    Raises:
        ConfigError: the option cannot be used, or the model writes no text.
        TargetError: the model cannot be loaded.
        AssetError: SmolLM2 cannot be fetched.
    """
    if hasattr(agent, "together"):
        return cast(Agent, agent)
    kind, options = _read(agent)
    if kind == "openai":
        from attacks.cheatagent.chat import ChatAgent

        return ChatAgent(catalog, **options)
    model = options.pop("model")
    frozen = tuple(sorted((k, str(v)) for k, v in options.items() if v is not None))
    return LMAgent(_reader(model, frozen), catalog)


def check(agent: object) -> None:
    """Refuse what `build` would refuse, as far as it can be known without loading anything.

    Raises:
        ConfigError: naming the option.
    """
    if hasattr(agent, "together"):
        return
    kind, options = _read(agent)
    if kind == "hf" and options["model"] is not None:
        if flaw := lacking(options["model"], options.get("gguf_file")):
            raise ConfigError(f"agent: {options['model']!r}: {flaw}")


def _read(agent: object) -> tuple[str, dict[str, Any]]:
    """Kind and options; those of a model on this machine always have `model`."""
    if agent is not None and not isinstance(agent, str | Path | Mapping):
        raise ConfigError(f"agent: {agent!r} is no agent; give a folder, a hub name, or {{kind: openai, model: …}}")
    options: dict[str, Any] = dict(agent) if isinstance(agent, Mapping) else {"model": agent}
    kind = str(options.pop("kind", "hf"))
    known = {"hf": _MODEL, "openai": _CHAT}.get(kind)
    if known is None:
        raise ConfigError(f"agent.kind: {kind!r} must be hf or openai")
    for name in options:
        if name not in known:
            raise ConfigError(f"agent.{name}: there is no such option; {nearest(name, known)}")
    if kind == "openai":
        return kind, options
    model = options.pop("model", None)
    if model is not None and str(model).endswith(".gguf") and "gguf_file" not in options:
        file = Path(model)
        model, options["gguf_file"] = file.parent, file.name
    return kind, {**options, "model": None if model is None else str(model)}


@lru_cache(maxsize=2)
def _reader(model: str | None, options: tuple[tuple[str, Any], ...]) -> Reader:
    """A model, kept for the next attack that uses it: it is read only, so attacks do not disturb each other."""
    from audit.targets.shared import shared_model

    return read(shared_model(model, **dict(options)), prompts.SYSTEM)


def read(lm: LanguageModel, system: str = "") -> Reader:
    """A reader for a model.

    Raises:
        ConfigError: the model does not write text from left to right.
    """
    from attacks.cheatagent.causal import CausalReader, PlainReader, agree
    from attacks.cheatagent.seq2seq import Seq2SeqReader

    config = lm.model.config
    if getattr(config, "is_encoder_decoder", False):
        return Seq2SeqReader(lm, system)
    kinds = " ".join(config.architectures or ())
    if "MaskedLM" in kinds or (not getattr(config, "is_decoder", True) and "bert" in str(config.model_type)):
        raise ConfigError(
            f"agent: a masked language model ({kinds or config.model_type}) writes no text; "
            "give a causal or an encoder-decoder model"
        )
    packed, plain = CausalReader(lm, system), PlainReader(lm, system)
    return packed if agree(packed, plain) else plain
