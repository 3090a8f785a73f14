"""The control plane: what people and programs ask of the gateway itself, under `/api/v2` and beside it.

May import `store`, `domain`, `overload`, Starlette and msgspec; never `gateway`. Every error is JSON of one shape (see
`errors`). The database is asked from threads, so that a slow one delays nobody but those who ask for it.
"""
