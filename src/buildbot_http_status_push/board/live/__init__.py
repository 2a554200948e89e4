"""One stream of changes for all browsers, over autobahn."""
