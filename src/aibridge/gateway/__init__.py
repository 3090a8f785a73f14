"""The data plane: AI calls, from the client's socket to the provider's and back.

Layers over a protocol, no framework. May import `ledger`, `wire`, `domain`, `overload`, `telemetry`, uvicorn's protocol
class and httptools; never `store` or `control`. What it knows of the world is one frozen `Snapshot`.

The path of a call: `guarded` (the door) -> `protocol` (bytes become a `Call` at headers-complete) -> `routes` (which of
the few things we relay) -> `pipeline` (the list of layers) -> `relay` -> `pool` and `upstream` -> the provider. The
bytes of the answer go from the upstream connection straight to the client's transport, and wake no coroutine.

Promises: a permit taken is given back on every ending; a recorded call is recorded before its last byte leaves; bytes
are the client's and the provider's own, except for what `headers` says; after the first byte an error is never a clean
end.
"""
