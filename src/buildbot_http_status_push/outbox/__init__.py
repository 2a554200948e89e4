"""What is kept until it is delivered. Must know neither HTTP nor Buildbot."""
