"""The client's methods, a module for each group. `_async` is written by hand; `make gen` makes `_sync` of it."""
