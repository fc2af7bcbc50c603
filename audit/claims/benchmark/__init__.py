"""Answers of known truth, and what a checker makes of them: the checker is audited before it is believed."""
