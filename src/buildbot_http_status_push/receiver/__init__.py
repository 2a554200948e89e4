"""A small receiver to try things out. Must not know Buildbot."""
