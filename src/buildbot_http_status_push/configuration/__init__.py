"""What master.cfg says, every fault of it, and secrets rendered anew for each attempt."""
