"""Deciding who may go on when everybody comes at once: rates, permits, waits, and whose call it is.

Imports the standard library and nothing else, so that any Python service can use it. Everything but `asgi` is plain
synchronous code: no I/O, no clock, no randomness, no lock; instants are float seconds of a monotonic clock and luck is
a number in [0, 1), both arguments. One event loop, or one thread, owns each object.

Promises: a decision costs constant time; memory is bounded whatever callers invent; a refusal says which limit, how
much it allows and for how long, and the wait is the truth; nobody is admitted above a limit and no permit is lost.
"""
