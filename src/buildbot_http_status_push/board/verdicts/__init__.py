"""What builders say of a revision and of a branch."""
