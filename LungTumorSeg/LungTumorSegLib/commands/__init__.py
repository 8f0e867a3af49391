"""The commands of ``lungtumorseg``: one file per command, with its arguments and what it does."""
