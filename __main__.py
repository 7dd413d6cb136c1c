"""``python -m market_backbone`` is the command line."""

from .infrastructure.cli import main

if __name__ == "__main__":
    main()
