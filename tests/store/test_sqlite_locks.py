"""SQLite without locks, which has to be said before it is used, once for a process."""

import subprocess
import sys

_SAY = "from aibridge.store.sqlite import without_locks; "


def said(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_it_is_asked_for_before_sqlite_is_used_and_refused_afterwards() -> None:
    assert said(f"import sys; {_SAY} assert 'sqlite3' not in sys.modules; print(without_locks())") in {"True", "False"}
    assert said(f"import sqlite3; {_SAY} sqlite3.connect(':memory:').close(); print(without_locks())") == "False"


_SUM = """
without_locks()
import sqlite3
one = sqlite3.connect(':memory:')
one.execute('create table t(x)')
one.executemany('insert into t values (?)', [(number,) for number in range(1000)])
print(one.execute('select sum(x) from t').fetchone()[0])
"""


def test_a_database_works_without_them() -> None:
    assert said(_SAY + _SUM) == "499500"
