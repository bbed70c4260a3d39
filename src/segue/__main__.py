"""`python -m segue`, and what torchrun starts: the command line."""

from segue.cli import main

main()
