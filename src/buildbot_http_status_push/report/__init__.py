"""What is said of a build, and which event it belongs to. Must not know where it goes."""
