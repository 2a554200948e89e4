"""Why a step failed: rules, the lines of a log that they choose, what identifies a line."""
