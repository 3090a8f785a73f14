"""Write the files that follow from the source, or say which of them do not.

`python scripts/gen.py` writes; `python scripts/gen.py --check` changes nothing and fails when something would change.
"""

import sys
from collections.abc import Callable, Iterable
from difflib import unified_diff
from functools import partial
from itertools import groupby
from pathlib import Path

import api_files
import sync_flavour

from aibridge.options import OPTIONS
from aibridge.options_kinds import Option
from aibridge.options_sources import FILE_FLAG, FILE_KEY, FILE_VARIABLE

ROOT = Path(__file__).parent.parent
_SHOWN_LINES = 20

_OPTIONS_HEAD = f"""# Options

Written by `make gen` from `src/aibridge/options_table.py` and `options_sign_in.py`.

Every option can be given in three places. The first of these that says anything decides:

1. a flag of `aibridge server`,
2. an environment variable,
3. a key of the YAML file that `--config` or `CODER_CONFIG_PATH` names,

and otherwise the default holds. A key with a dot stands below its section:

```yaml
http_address: 127.0.0.1:4001
aibridge:
  max_concurrency: 200
  rate_limit: 5
  openai_key_file: /run/secrets/openai
```

* **Two spellings.** What starts with `--aibridge-`, `CODER_AIBRIDGE_` or `aibridge.` may also start with
  `--ai-gateway-`, `CODER_AI_GATEWAY_` or `ai_gateway.`. Both in the same place must say the same.
* **Secrets from files.** An option marked *secret* is never shown. With `{FILE_FLAG}`, `{FILE_VARIABLE}` or
  `{FILE_KEY}` at the end of its name it names a file to read the secret from; a line break at the file's end does
  not count. The secret and the file in the same place are an error.
* **Mistakes end the start.** A value that is not allowed, an empty value or an unknown key is an error that names
  option, place, value and what is allowed, with exit code 2. An unknown environment variable that starts like ours is
  only warned about.
"""

_COLUMNS = """\
| flag | environment | YAML | default | allowed | meaning |
|---|---|---|---|---|---|
"""


def options_page() -> str:
    """`docs/options.md`: the table of options for people."""
    parts = [_OPTIONS_HEAD]
    for group, options in groupby(OPTIONS, key=lambda option: option.group):
        parts += [f"\n## {group}\n\n{_COLUMNS}", *map(_row, options)]
    return "".join(parts)


def _row(option: Option) -> str:
    environment = [option.environment[0], *([option.fallback] if option.fallback else [])]
    cells = (
        f"`{option.flag}`",
        ", then ".join(f"`{name}`" for name in environment),
        f"`{option.yaml_keys[0]}`" if option.yaml_keys else "none",
        f"`{option.default}`" if option.default else option.unset,
        f"{option.allowed}; in YAML also a list" if option.kind.is_list else option.allowed,
        f"{option.help} *Secret.*" if option.secret else option.help,
    )
    return f"| {' | '.join(cells)} |\n"


GENERATED: dict[str, Callable[[], str]] = {
    "docs/options.md": options_page,
    "docs/openapi.json": api_files.openapi_json,
    "docs/api.md": api_files.api_page,
    "docs/api.d.ts": api_files.typescript,
    **{name: partial(sync_flavour.made, source) for name, source in sync_flavour.modules().items()},
}
"""Every generated file, and what makes it."""


def write() -> None:
    """Write every generated file."""
    for name, made in GENERATED.items():
        path = ROOT / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(made(), encoding="utf-8")


def drift(root: Path = ROOT) -> Iterable[str]:
    """What writing would change, as lines of a diff."""
    for name, made in GENERATED.items():
        path = root / name
        there = path.read_text(encoding="utf-8") if path.exists() else ""
        yield from unified_diff(
            there.splitlines(), made().splitlines(), name, f"{name} as it should be", lineterm="", n=0
        )


def main(arguments: list[str]) -> int:
    """Write or check. The answer is the exit code."""
    if arguments not in ([], ["--check"]):
        print("usage: gen.py [--check]", file=sys.stderr)
        return 2
    if not arguments:
        write()
        return 0
    differences = list(drift())
    if differences:
        print(*differences[:_SHOWN_LINES], sep="\n")
        if len(differences) > _SHOWN_LINES:
            print(f"... and {len(differences) - _SHOWN_LINES} more lines")
        print("generated files are not in step with the source: run `make gen`", file=sys.stderr)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
