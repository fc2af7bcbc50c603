"""A search that calls its target, turned into a generator that yields questions.

TextAttack's searches are plain functions: they call the model and wait. The harness wants generators, so that many
users' questions reach the target in one batch. A greenlet joins the two: the search runs on a stack of its own and is
left at each question, in the same thread. Nothing runs at the same time as anything else, so there is nothing to lock,
and a search that is given up is unwound at once instead of waiting for ever in a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any, TypeVar

from greenlet import GreenletExit, error, getcurrent, greenlet

Question = TypeVar("Question")
Ask = Callable[[Question], list[float]]


def dialogue(
    work: Callable[[Ask[Question]], None], around: Callable[[], AbstractContextManager[None]]
) -> Generator[Question, Sequence[float] | None, None]:
    """Yield what `work` asks, and answer it with what is sent.

    Args:
        work: a function that is given `ask` and calls it with each question.
        around: makes the context in which `work` runs; it is left at each question and entered again for the answer.

    Yields:
        Each question.

    Raises:
        Whatever `work` raises.
    """

    def ask(question: Question) -> list[float]:
        caller = getcurrent().parent
        if caller is None:
            raise RuntimeError("a question outside of a dialogue")
        return list(caller.switch(question))

    worker = greenlet(work)
    argument: Any = ask
    try:
        while True:
            worker.parent = getcurrent()
            with around():
                question = worker.switch(argument)
            if worker.dead:
                return
            argument = yield question
    finally:
        if worker and not worker.dead:
            # Not from another thread, where the garbage collector may run: there the stack goes when its thread does.
            with suppress(error):
                worker.parent = getcurrent()
                worker.throw(GreenletExit)
