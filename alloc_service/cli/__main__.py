"""`python -m alloc_service.cli` is `alloc`, where the script is not on the path."""

from alloc_service.cli import main

main()
