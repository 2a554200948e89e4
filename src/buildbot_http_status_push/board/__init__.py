"""The status front end: takes the statuses, keeps them, and shows them live. Knows no Buildbot."""
