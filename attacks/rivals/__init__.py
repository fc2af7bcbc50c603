"""The rivals of CheatAgent: what a cleverer attack must beat when both may ask as often."""
