"""What a person is told who has just got a server, or a token: where it goes."""

from collections.abc import Sequence

from aibridge.domain.provider import Provider, ProviderKind


def text(url: str, token: str | None, providers: Sequence[Provider], *, demo: bool) -> str:
    """The lines to print: where it listens, what it serves and, on the first start, the owner's token and its use."""
    lines = [f"AI Bridge listens on {url}"]
    if demo:
        lines.append(
            "No provider is configured: the demo provider answers. OPENAI_API_KEY and ANTHROPIC_API_KEY change that."
        )
    else:
        lines += [f"  {provider.name}: {provider.origin}" for provider in providers]
    is_served = demo or bool(providers)
    if not is_served:
        lines.append("The AI routes are switched off (--aibridge-enabled).")
    if token is not None:
        lines += ["", *_the_token(url, token)]
    if token is not None and is_served:
        call = _demo_call(url, token) if demo else _real_call(url, token, providers)
        lines += _first_steps(url, token, call)
    return "\n".join(lines)


def _demo_call(url: str, token: str) -> list[str]:
    return [
        f"  curl {url}/openai/v1/chat/completions \\",
        f"    -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' \\",
        """    -d '{"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}'""",
    ]


def _real_call(url: str, token: str, providers: Sequence[Provider]) -> list[str]:
    """A call that costs nothing: which models there are, of a provider that has a key."""
    provider = next((provider for provider in providers if provider.key is not None), providers[0])
    version = " -H 'anthropic-version: 2023-06-01'" if provider.kind is ProviderKind.ANTHROPIC else ""
    return [f"  curl {url}/{provider.name}/v1/models -H 'Authorization: Bearer {token}'{version}"]


def _the_token(url: str, token: str) -> list[str]:
    return [
        "This is the owner's token. It is shown once.",
        f"`aibridge login {url} --token-file -` keeps it; `aibridge tokens create` makes others.",
        "",
        f"  {token}",
        "",
    ]


def _first_steps(url: str, token: str, call: Sequence[str]) -> list[str]:
    return [
        "Try it:",
        "",
        *call,
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
