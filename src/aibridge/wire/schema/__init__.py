"""What the vendors' JSON looks like: of each protocol's bodies and events, the fields that are read, and no other.

A module for each protocol, named as the one that makes something of it; `common` has what they share. Each field has
the type that the vendor's reference gives it; what comes of a value of another type is `lenient`'s business.
"""
