"""Organizations: who belongs together, and what belongs to them."""

import uuid

DEFAULT_ORGANIZATION = uuid.UUID("9a1c5e0e-5f0b-4b0e-8c57-6d1b0a7f2c11")
"""The organization that every deployment begins with. It may be renamed and is never deleted.

It has one id everywhere, so that a token made before there were organizations, and whoever writes a rule for it, know
it without asking a database.
"""
