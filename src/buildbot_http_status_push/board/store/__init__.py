"""The board's database: tables, reading, writing, one commit for a group."""
