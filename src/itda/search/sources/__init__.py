"""Where alignments come from, one file a source."""
