"""Attacks on the history of one user: items put in or exchanged, the order lost, the interest diluted."""
