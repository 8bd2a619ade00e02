"""The `rife` command."""

import signal
import sys

from ._rife import cli


def main() -> int:
    """Run the command with the arguments of this process. Returns its exit code."""
    # Restore the default action of SIGINT, unless the parent process ignores the signal.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    return cli(["rife", *sys.argv[1:]])
