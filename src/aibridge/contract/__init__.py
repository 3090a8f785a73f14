"""What server and clients agree on: the shapes that travel over `/api/v2`, and the table of its endpoints.

May import `domain` and msgspec, and nothing else: it ships with the SDK. Each file holds the structs of one group of
endpoints and, at its end, the group's `ENDPOINTS`; `table` puts them together.
"""
