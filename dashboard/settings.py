"""How a dashboard was started: `recaudit dashboard` hands it over in the environment, for arguments are seen by all."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

PREFIX = "RECAUDIT_DASHBOARD_"


@dataclass(frozen=True)
class Settings:
    """What was asked for.

    Attributes:
        store: path or URL of the run store; None for the default.
        live: configuration of a target that visitors may ask; None, the default, for no target at all.
        password: that visitors have to give; None where the address is private.
        user_header: header with which a proxy in front says who visits; requests without it are refused.
    """

    store: str | None = None
    live: str | None = None
    password: str | None = field(default=None, repr=False)
    user_header: str | None = None

    @classmethod
    def of_environment(cls) -> Settings:
        """As the environment says."""

        def told(name: str) -> str | None:
            return os.environ.get(PREFIX + name) or None

        return cls(told("STORE"), told("LIVE"), told("PASSWORD"), told("USER_HEADER"))

    def to_environment(self) -> dict[str, str]:
        """The variables that say so."""
        given = {"STORE": self.store, "LIVE": self.live, "PASSWORD": self.password, "USER_HEADER": self.user_header}
        return {PREFIX + name: value for name, value in given.items() if value}
