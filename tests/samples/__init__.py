"""What each release wrote: one folder a release, made once by ``python -m tests.samples v0.1`` and never changed."""
