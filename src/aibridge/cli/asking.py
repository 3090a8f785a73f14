"""The server, asked with the SDK: its client for a command, and what it refuses as the one line a command ends with.

The SDK is imported when a command runs, not before: help and completion wait for nothing that only calls need.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any, Concatenate, ParamSpec
from urllib.parse import urlsplit

import click

from aibridge import __version__
from aibridge.cli.session import Session, sought, where_options

if TYPE_CHECKING:
    from aibridge.sdk import Client, Error

_Arguments = ParamSpec("_Arguments")

_AGENT = f"aibridge-cli/{__version__}"
"""What the audit log says that changes were made with."""


@contextmanager
def answered(session: Session) -> Iterator["Client"]:
    """A client of that server, as long as the block lasts.

    Raises:
        click.ClickException: the server refused something within the block, or did not answer.
    """
    import httpx2  # noqa: PLC0415 -- as the SDK

    from aibridge.sdk import Client, Error  # noqa: PLC0415 -- see above

    try:
        with Client(session.url, session.session_token, headers={"user-agent": _AGENT}) as client:
            yield client
    except Error as error:
        raise click.ClickException(said(error)) from None
    except httpx2.TransportError as error:
        raise click.ClickException(f"{session.url} does not answer: {error or type(error).__name__}") from None


def asks(function: Callable[Concatenate["Client", _Arguments], None]) -> Callable[..., None]:
    """Make a function whose first argument is a client one that a command can be made of, with `--url` and so on."""

    @wraps(function)
    def asked(
        *arguments: Any,  # noqa: ANN401 -- whatever click passes
        url: str | None,
        token_file: IO[str] | None,
        **flags: Any,  # noqa: ANN401 -- as above
    ) -> None:
        with answered(sought(url, token_file)) as client:
            function(client, *arguments, **flags)

    return where_options(asked)


def said(error: "Error") -> str:
    """A refusal in one line: what the server says of it, and every part of the request that is wrong."""
    # What is not there is not named by the server, and a command may have asked for several things.
    what = f"{urlsplit(error.url).path}: " if error.status == HTTPStatus.NOT_FOUND else ""
    parts = [_sentence(f"{what}{error.message}"), _sentence(error.detail)]
    # One thing that is wrong is often the message itself.
    parts += [_sentence(f"{at.field}: {at.detail}") for at in error.validations if at.detail not in error.message]
    parts.append(error.helper)
    return " ".join(part for part in parts if part)


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."
