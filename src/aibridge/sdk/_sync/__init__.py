# Written by `make gen` from `src/aibridge/sdk/_async/__init__.py`.
"""The client's methods, a module for each group. `_async` is written by hand; `make gen` makes `_sync` of it."""
