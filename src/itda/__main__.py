"""`python -m itda` is `itda`."""

from itda.cli.main import main

main()
