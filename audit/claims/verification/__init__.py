"""From claims to rulings: the rungs of the ladder, and what contradicts itself."""
