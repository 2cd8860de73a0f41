"""`python -m dpo_tui`: the same as `dpo-tui`."""

from dpo_tui.cli import main

if __name__ == "__main__":
    main()
