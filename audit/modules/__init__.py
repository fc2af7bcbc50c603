"""Audit modules: Requests in, Findings out. Each is a plugin of the entry point group `recaudit.modules`."""
