"""The types of columns as the steps write them. What a name here means never changes; a new meaning gets a new name."""

from typing import Final

import sqlalchemy as sa

INTEGER: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
FLAG: Final = sa.Boolean().with_variant(sa.Integer(), "sqlite")
TEXT: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
BYTES: Final = sa.LargeBinary()
