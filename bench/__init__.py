"""What a status costs: measured against no reporter, the built-in one and raw treq."""
