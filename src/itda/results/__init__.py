"""What a user finds: files, folder, summary, report."""
