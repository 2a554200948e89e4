"""Faults made on purpose: a real master and a real receiver, each a process of its own.

``python -m chaos`` in the folder ``tests`` runs all cases and writes a table of what came out.
"""
