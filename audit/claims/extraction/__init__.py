"""From the text of an answer to the claims it makes."""
