"""Targets written in Python: an object with `recommend`, or a plain function of titles.

The plain function is the shortest path from "I have a recommender" to a report:

    def recommend(history: list[str], candidates: list[str] | None, k: int) -> list[str]: ...

It is given titles and returns titles or ids. Its failures are counted answers, not crashes.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, cast

from audit.errors import RecAuditError, TargetError, nearest
from audit.target import Input, Recommender, TargetInfo
from audit.targets.wrap import ItemReader, failed, shown_kind, unparsable, unsupported
from audit.types import Answer, Catalog, Item, Request, Usage, canonical_json

PlainFunction = Callable[..., Iterable[str]]
"""`f(history, candidates, k)`: called by these names if it has them, else in this order."""

_PARAMETERS = ("history", "candidates", "k")
_ACCEPTED = (
    "an object with recommend(requests), or a function f(history: list[str], candidates: list[str] | None, k: int) "
    "-> list[str]"
)
_by_us: dict[str, Path] = {}
"""Modules that `load` imported, with the folder they came from: only these may be imported anew from another folder."""


class FunctionTarget:
    """A plain function as a target.

    Args:
        function: `f(history, candidates, k)`; history is oldest first; candidates is None for the whole catalogue.
        catalog: where the returned strings are looked up.
        reads: whether the function is given titles (as the Request shows them, so that edits reach it) or ids.
        name: for reports; the function's own name by default.
        version: change it when the function's behaviour changes. With it, answers are reused between runs.

    Raises:
        TargetError: the function's parameters are not these three.
    """

    def __init__(
        self,
        function: PlainFunction,
        catalog: Catalog | None = None,
        *,
        reads: Literal["title", "id"] = "title",
        name: str | None = None,
        version: str | None = None,
    ) -> None:
        call = _calling(function)
        if call is None:
            raise TargetError(f"target: found {_described(function)}; accepted is {_ACCEPTED}")
        self._call = call
        self._reads = reads
        self._reader = ItemReader(catalog)
        self._file = _file_of(function)
        name = name or _name_of(function)
        identity = canonical_json(["python", name, reads, version])
        honours = {Input.HISTORY} | ({Input.ITEM_TEXT} if reads == "title" else set())
        self.info = TargetInfo(
            name=name,
            tasks=("rank",),
            honours=frozenset(honours),
            fingerprint=hashlib.sha256(identity.encode()).hexdigest() if version else None,
        )

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        """Call the function once per request; what it raises or returns wrongly is counted for that request alone."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Answer:
        if request.task != "rank":
            return unsupported(request.task, self.info.tasks)
        history = [self._name(event.item) for event in request.user.history]
        candidates = None if request.candidates is None else [self._name(item) for item in request.candidates]
        started = time.perf_counter()
        try:
            returned = self._call(history, candidates, request.k)
            # Reading is inside too: a generator runs the user's code only now.
            texts = _strings(returned)
        except RecAuditError:
            raise
        except Exception as error:  # whatever foreign code raises is the outcome of this request
            return failed(error, where=_place(error, self._file), usage=_since(started))
        usage = _since(started)
        if isinstance(texts, str):
            return unparsable(texts, usage=usage)
        read = self._reader.titles if self._reads == "title" else self._reader.ids
        return Answer(read(texts, request), usage=usage)

    def _name(self, item: Item) -> str:
        return item.title if self._reads == "title" else item.id


def as_recommender(target: object, catalog: Catalog | None = None, *, where: str = "target") -> Recommender:
    """Any accepted form of a target as a Recommender.

    Args:
        target: an object with `recommend(requests)`, which is returned as it is; an object whose `recommend` takes
            (history, candidates, k); or a plain function of these.
        catalog: where a plain function's strings are looked up.
        where: the field that gave the target, for the error sentence.

    Raises:
        TargetError: it is none of these; the message names what was found.
    """
    if isinstance(target, type):
        raise TargetError(f"{where}: found the class {target.__name__}; give an instance: {target.__name__}(…)")
    method = getattr(target, "recommend", None)
    if callable(method):
        if _calling(method) is not None:
            return FunctionTarget(method, catalog, name=type(target).__name__)
        if not _takes_requests(method):
            raise TargetError(f"{where}: found {_described(method)}; accepted is {_ACCEPTED}")
        return cast(Recommender, target)
    if callable(target) and _calling(target) is not None:
        return FunctionTarget(target, catalog)
    raise TargetError(f"{where}: found {_described(target)}; accepted is {_ACCEPTED}")


def load(
    factory: str,
    args: Mapping[str, Any] | None = None,
    *,
    base_dir: Path | str = ".",
    catalog: Catalog | None = None,
    version: str | None = None,
) -> Recommender:
    """The target that `factory: "my_module:build"` names.

    `build` is called with `args`, and with `catalog` if it has a parameter of that name, and returns a target. It may
    also be the target itself: an object with `recommend`, or a plain function (then `args` are its further arguments).

    Args:
        factory: module and attribute, as `package.module:name`.
        args: keyword arguments from the configuration.
        base_dir: the configuration's folder, searched first for the module.
        catalog: where a plain function's strings are looked up.
        version: see `FunctionTarget`; ignored for objects, which declare their own fingerprint.

    Raises:
        TargetError: the name cannot be resolved, the user's code raised (with the line of their file), or what came
            back is not a target.
    """
    where = f"target.factory: {factory!r}"
    args = dict(args or {})
    module_name, _, attribute = factory.partition(":")
    if not module_name or not attribute:
        raise TargetError(f"{where} does not name a function; write it as 'my_module:build'")
    module = _import(module_name, Path(base_dir).resolve(), where)
    try:
        found: Any = module
        for part in attribute.split("."):
            found = getattr(found, part)
    except AttributeError:
        known = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise TargetError(f"{where}: the module has no {attribute!r}; {nearest(attribute, known)}") from None

    itself = not isinstance(found, type) and callable(getattr(found, "recommend", None))
    if not itself and callable(found) and not isinstance(found, type) and _calling(partial(found, **args)):
        found, args, itself = partial(found, **args), {}, True
    if itself:
        if args:
            raise TargetError(
                f"target.args: {factory!r} is an object and takes no args; name a function that builds it"
            )
        built = found
    else:
        built = _build(found, args, catalog, module, where)
    if not isinstance(built, type) and callable(built) and not hasattr(built, "recommend") and _calling(built):
        return FunctionTarget(built, catalog, name=_name_of(built), version=version)
    return as_recommender(built, catalog, where=where)


def _build(found: object, args: dict[str, Any], catalog: Catalog | None, module: ModuleType, where: str) -> object:
    if not callable(found):
        raise TargetError(
            f"{where}: found {_described(found)}; accepted is a function that builds a target, or {_ACCEPTED}"
        )
    signature = _signature(found)
    if signature is not None:
        if "catalog" in signature.parameters and "catalog" not in args:
            args["catalog"] = catalog
        try:
            signature.bind(**args)
        except TypeError as error:
            raise TargetError(
                f"target.args: {_name_of(found)}{signature} cannot be called with them: {error}"
            ) from None
    try:
        return found(**args)
    except RecAuditError:
        raise
    except (Exception, SystemExit) as error:
        raise _raised(where, error, module.__file__) from error


def _import(name: str, base_dir: Path, where: str) -> ModuleType:
    top = name.partition(".")[0]
    ours = (base_dir / f"{top}.py").is_file() or (base_dir / top / "__init__.py").is_file()
    loaded = sys.modules.get(top)
    if loaded is not None and ours and _by_us.get(top) != base_dir:
        if not _inside(loaded, base_dir) and top not in _by_us:
            raise TargetError(
                f"{where}: another module named {top!r} is already loaded from {loaded.__file__ or 'Python itself'}; "
                "give the file another name"
            )
        if top in _by_us:  # an earlier audit in this process, of another folder
            for old in [m for m in sys.modules if m == top or m.startswith(f"{top}.")]:
                del sys.modules[old]
    importlib.invalidate_caches()  # the file may be younger than Python's listing of its folder
    folder = str(base_dir)
    sys.path.insert(0, folder)
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in {name, top}:
            raise _raised(where, error, str(base_dir / f"{top}.py")) from error
        files = [path.stem for path in base_dir.glob("*.py")]
        raise TargetError(
            f"{where}: no module {error.name!r} in {base_dir} nor installed; {nearest(top, files)}"
        ) from None
    except (Exception, SystemExit) as error:
        raise _raised(where, error, str(base_dir / f"{top}.py")) from error
    finally:
        sys.path.remove(folder)
        if folder not in sys.path:
            # The user's functions may import their neighbours later; at the end these cannot shadow anything.
            sys.path.append(folder)
    if ours:
        _by_us[top] = base_dir
    return module


def _inside(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).resolve().is_relative_to(folder)


def _raised(where: str, error: BaseException, file: str | None) -> TargetError:
    said = " ".join(str(error).split())
    place = _place(error, file)
    told = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return TargetError(f"{where}: your code raised {told}" + (f" ({place})" if place else ""))


def _place(error: BaseException, file: str | None) -> str:
    """`name.py, line 12`: the deepest line of the user's file, or else of any file but Python's import system."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}, line {error.lineno}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "importlib" not in f.filename]
    theirs = [f for f in frames if file is not None and f.filename == file]
    own = [f for f in frames if f.filename != __file__]
    chosen = (theirs or own)[-1:]
    return f"{Path(chosen[0].filename).name}, line {chosen[0].lineno}" if chosen else ""


def _calling(function: Callable[..., Any]) -> Callable[[list[str], list[str] | None, int], Any] | None:
    """How to call a plain function with (history, candidates, k); None if it is not one."""
    signature = _signature(function)
    if signature is None or inspect.iscoroutinefunction(function):
        return None
    parameters = signature.parameters
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    required = [p for p in parameters.values() if p.default is p.empty and p.kind not in variadic]
    named = [parameters[name] for name in _PARAMETERS if name in parameters]
    if len(named) == len(_PARAMETERS) and all(p.kind is not p.POSITIONAL_ONLY for p in named):
        if {p.name for p in required} <= set(_PARAMETERS):
            return lambda history, candidates, k: function(history=history, candidates=candidates, k=k)
        return None
    positional = [p for p in required if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(required) == len(positional) == len(_PARAMETERS):
        return lambda history, candidates, k: function(history, candidates, k)
    return None


def _takes_requests(method: Callable[..., Any]) -> bool:
    signature = _signature(method)
    if signature is None:
        return True  # a compiled method tells nothing about itself: the first call will
    try:
        signature.bind([])
    except TypeError:
        return False
    return not inspect.iscoroutinefunction(method)


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def _described(value: object) -> str:
    """What was found, for an error sentence."""
    if inspect.iscoroutinefunction(value):
        return f"the async function {_name_of(value)}"
    if inspect.isroutine(value) or isinstance(value, partial):
        return f"the function {_name_of(value)}{_signature(value) or '(…)'}"
    return shown_kind(value)


def _name_of(function: object) -> str:
    if isinstance(function, partial):
        return _name_of(function.func)
    return str(getattr(function, "__name__", type(function).__name__))


def _file_of(function: object) -> str | None:
    while isinstance(function, partial):
        function = function.func
    code = getattr(inspect.unwrap(cast(Any, function)), "__code__", None)
    return code.co_filename if code is not None else None


def _strings(returned: object) -> list[str] | str:
    """The returned strings, or a sentence that says why they cannot be read."""
    expected = "a list of titles or ids is expected"
    unordered = (str, bytes, Mapping, set, frozenset)
    if not isinstance(returned, Iterable) or isinstance(returned, unordered):
        return f"the function returned {shown_kind(returned)}; {expected}"
    texts = list(returned)
    for place, text in enumerate(texts, 1):
        if not isinstance(text, str):
            return f"entry {place} of what the function returned is {shown_kind(text)}; {expected}"
    return [str(text) for text in texts]  # NumPy strings become plain ones


def _since(started: float) -> Usage:
    return Usage(seconds=time.perf_counter() - started)
