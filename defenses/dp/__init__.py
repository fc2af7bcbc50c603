"""Training with differential privacy: who was in it cannot be told from what comes out, up to (ε, δ)."""
