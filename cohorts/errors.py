"""The one exception a data steward meets."""


class CohortError(ValueError):
    """A trial's files or its schema are not usable; the message says what, where and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))  # a file's own line breaks must not break the paragraph
