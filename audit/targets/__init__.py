"""Targets: wrappers that turn whatever recommends into a Recommender. HTTP lives here and nowhere else."""
