"""``python -m soak``: a day's wear in an hour.

A master, two boards on one PostgreSQL behind nginx, and browsers that come and go.
"""
