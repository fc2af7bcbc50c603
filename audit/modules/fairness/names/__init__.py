"""What a name changes: a hint at gender or ethnicity that nobody stated."""

from audit.modules.fairness.names.part import Names

__all__ = ["Names"]
