"""Test results: which test failed where, since when, on how many builders, flaky or not."""
