"""What the database's functions refuse, and which field it is about."""


class Conflict(ValueError):  # noqa: N818 (a state of the world, in the words of `domain.errors`)
    """What was asked does not go together with what is there: a name that is taken, the last owner who would go.

    `field` is the one it is about, `message` a sentence for people.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


class Invalid(ValueError):  # noqa: N818 (as above)
    """A value that is not allowed, whatever else is there.

    `field` is the one that has it, `message` a sentence for people that says what is allowed.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message
