"""One file for each version of the tables; its revision is the version's number."""
