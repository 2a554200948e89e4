"""What others than browsers read of the board: JSON, badges, feeds. Knows no request."""
