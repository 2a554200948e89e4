"""Buildbot's HttpStatusPush reporter, with every status delivered."""

__version__ = "0.1.0"
