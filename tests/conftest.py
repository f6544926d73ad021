"""What holds for all tests: the checklist that they fill, and the judges of every object that they write."""

pytest_plugins = ("tests.checklist", "tests.written")
