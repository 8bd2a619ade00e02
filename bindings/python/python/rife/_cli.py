"""The `rife` command."""

import signal
import sys

from ._rife import cli


def main() -> int:
    """Run the command with the arguments of the process. Returns its exit code."""
    # Ctrl-C ends the command as it ends any program, unless the parent process ignores it.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    return cli(["rife", *sys.argv[1:]])
