"""Settings of all tests."""

from hypothesis import settings

# The same examples in every run: a failure is a failure for everybody, and can be repeated.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None, max_examples=40)
settings.load_profile("repeatable")
