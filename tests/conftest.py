"""What holds for all tests."""

from hypothesis import settings

# How long one example takes says more about the machine than about the code; a test that hangs has its own timeout.
settings.register_profile("ottla", deadline=None, print_blob=True)
settings.load_profile("ottla")
