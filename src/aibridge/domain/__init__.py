"""The nouns of the product and their pure rules: who calls, through what, for how much, and what may go wrong.

May import `overload` and msgspec. Does no I/O and reads no clock; instants and randomness are arguments.
Everything here is complete and typed: what is only half known does not become one of these.
"""
