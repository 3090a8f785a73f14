"""The control plane: what people and programs ask of the gateway itself, under `/api/v2` and beside it.

May import `contract`, `store`, `limits`, `domain`, `overload`, Starlette and msgspec; never `gateway`. Every error is
JSON of one shape (see `errors`). The database is asked from threads, so that a slow one delays nobody but those who ask
for it.

A new endpoint comes in these steps. Tests fail as long as one of the first four is missing.

1. `contract/GROUP.py`: its structs, and its row in `ENDPOINTS`: path, permission, what is sent and answered. A new
   group goes into `contract/table.py`.
2. `control/GROUP.py`: a handler by the name of its operation in `HANDLERS`; those of a new file go into `app`. A path
   that names a new kind of thing needs a finder in `things`. SQL is in `store` alone. What changes something says so
   with `Ask.record`.
3. `sdk/_async/GROUP.py`: the method of that name; `sdk/GROUP.py` has its structs in `__all__`. Then `make gen`, which
   writes the synchronous half, `docs/api.md`, the OpenAPI document and the types for TypeScript.
4. `tests/control/test_matrix.py`: a row that says who may. What it does is tested beside.
5. `cli/GROUP.py` and `docs/cli.md`, where people shall have a command for it.
"""
