"""What broke, where, since when and until when: one incident for one cause."""
