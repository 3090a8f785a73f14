"""What a person is told who has just got a server, or a token: where it goes."""

from collections.abc import Sequence

from aibridge.domain.provider import Provider


def text(url: str, token: str | None, providers: Sequence[Provider], *, demo: bool) -> str:
    """The lines to print: where it listens, what it serves and, on the first start, the owner's token and its use."""
    lines = [f"AI Bridge listens on {url}"]
    if demo:
        lines.append(
            "No provider is configured: the demo provider answers. OPENAI_API_KEY and ANTHROPIC_API_KEY change that."
        )
    else:
        lines += [f"  {provider.name}: {provider.origin}" for provider in providers]
    if token is not None:
        lines += ["", *_first_steps(url, token)]
    return "\n".join(lines)


def _first_steps(url: str, token: str) -> list[str]:
    return [
        "This is the owner's token. It is shown once; `aibridge tokens create` makes others.",
        "",
        f"  {token}",
        "",
        "Try it:",
        "",
        f"  curl {url}/openai/v1/chat/completions \\",
        f"    -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' \\",
        """    -d '{"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}'""",
        "",
        "Point your clients at it:",
        "",
        *client_settings(url, token),
        "",
    ]


def client_settings(url: str, token: str) -> list[str]:
    """Where clients want the token, a line each, ready to paste."""
    return [
        f"  Claude Code  export ANTHROPIC_BASE_URL={url}/anthropic ANTHROPIC_AUTH_TOKEN={token}",
        f"  OpenAI SDK   export OPENAI_BASE_URL={url}/openai/v1 OPENAI_API_KEY={token}",
        f"  curl         -H 'Authorization: Bearer {token}'",
    ]
