"""Why builds are red: failing lines, whether they were seen before, which of them are known."""
