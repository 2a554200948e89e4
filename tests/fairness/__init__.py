"""How long builders wait for others that the receiver refuses, in virtual time.

``python -m fairness`` prints a table.
"""
