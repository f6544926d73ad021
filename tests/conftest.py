"""What holds for all tests: the checklist that they fill (tests/checklist.py)."""

pytest_plugins = ("tests.checklist",)
