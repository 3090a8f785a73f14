"""The body is read, now that it is known to be wanted, and peeked at."""

from aibridge.domain.errors import BadRequest, NotSupported
from aibridge.gateway.call import Call, Handler, Layer
from aibridge.gateway.reply import Reply
from aibridge.wire.dialect import View


def body() -> Layer:
    """Wait for the body and look at the few fields that matter; the bytes are forwarded as they came."""

    def layer(handle: Handler) -> Handler:
        async def read(call: Call, reply: Reply) -> None:
            if call.view is None:
                body = call.body
                peek(call, body.content() if body.complete else await body.read())
            await handle(call, reply)

        return read

    return layer


def peek(call: Call, content: bytes) -> View:
    """Look at what matters of a call's body; both are the call's then.

    Raises:
        CallError: it is not a body that is relayed.
    """
    call.content = content
    coding = call.head.fields.get(b"content-encoding")
    if coding is not None and coding.strip().lower() != b"identity":
        raise BadRequest(
            "The request body is compressed; AI Bridge takes it uncompressed only.",
            "Leave out the header content-encoding.",
            field="content-encoding",
        )
    view = call.view = call.head.route.dialect.peek(content)
    if view.background:
        raise NotSupported(
            "background requests are currently not supported by AI Bridge",
            "Send `background: false` or leave it out.",
            field="background",
        )
    return view


def content() -> Layer:
    """Wait for the body and look at nothing: for what is passed through."""

    def layer(handle: Handler) -> Handler:
        async def read(call: Call, reply: Reply) -> None:
            call.content = await call.body.read()
            await handle(call, reply)

        return read

    return layer
