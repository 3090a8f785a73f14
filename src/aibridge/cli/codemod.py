"""`aibridge codemod`: rewrite Python code for a major version of the SDK."""

from collections.abc import Sequence
from pathlib import Path

import click

from aibridge.codemod.tables import TABLES

_EXAMPLES = """\b
Examples:
  aibridge codemod v2 src tests
  aibridge codemod v2 src tests --write
  aibridge codemod v2 script.py > changes.patch
"""


@click.command("codemod", epilog=_EXAMPLES)
@click.argument("version", type=click.Choice(list(TABLES)))
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--write/--dry-run", default=False, help="Change the files, or show what would change (the default).")
def command(*, version: str, paths: Sequence[Path], write: bool) -> None:
    """Rewrite your code for a major version of the SDK.

    Renames what was renamed, in Python files and in all of those below directories. Only what is certain is rewritten;
    the rest is listed with file and line, for you to look at. Without --write it prints a diff and changes nothing.
    """
    try:
        from aibridge.codemod import files, rewrite  # noqa: PLC0415 -- they need what comes with the extra
    except ModuleNotFoundError as error:
        if error.name != "libcst":
            raise
        raise click.UsageError("this needs LibCST: pip install 'aibridge[codemod]'") from None
    changed = left = skipped = failed = 0
    for path in files.python_files(paths):
        try:
            file = files.read(path, TABLES[version])
            if file.is_changed and write:
                file.write()
        except rewrite.Unreadable as why:
            skipped += 1
            click.echo(f"skipped: {path}: {why}", err=True)
            continue
        except OSError as error:
            failed += 1
            click.echo(f"aibridge: {path}: {error.strerror or error}", err=True)
            continue
        changed += file.is_changed
        left += len(file.rewritten.findings)
        if not write:
            click.echo(file.diff(), nl=False)
        for finding in file.rewritten.findings:
            click.echo(f"look at this: {path}:{finding.line}: {finding.reason}", err=True)
    said = "changed" if write else "would change"
    click.echo(f"{changed} files {said}, {left} places to look at, {skipped} files skipped", err=True)
    if failed:
        raise click.ClickException(f"{failed} files could not be read or written")
