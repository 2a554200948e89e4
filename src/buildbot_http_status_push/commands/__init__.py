"""What a person types, one module a sub-command."""
