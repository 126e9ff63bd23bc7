"""The errors a user can cause. The command line shows each as one line and exits with code 2."""


class LhcflowError(Exception):
    """Base of all errors that lhcflow raises on purpose; its message is one line that says what to do."""


class InputError(LhcflowError, ValueError):
    """The input is wrong: a shape, a value, a file or an option."""


class RunError(LhcflowError, RuntimeError):
    """The input was fine but the work cannot go on: a loss that is not finite, a full disk."""
