"""How the examples of properties are tried, in all tests."""

from hypothesis import settings

# A busy machine is no fault: no test asserts a time.
settings.register_profile("freehold", deadline=None)
settings.load_profile("freehold")
