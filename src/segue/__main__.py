"""`python -m segue`, also under torchrun: the command line."""

from segue.cli import main

main()
