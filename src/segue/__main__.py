"""The command line: `segue`, and `python -m segue`, also under torchrun."""

import sys


def main() -> None:
    """Run the command line of this process, and exit."""
    try:
        from segue.cli import main as run
    except KeyboardInterrupt:  # Ctrl-C while modules are imported
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
