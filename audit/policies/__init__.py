"""Built-in policies, as YAML."""
