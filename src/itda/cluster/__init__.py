"""Where a job's work is done: in this process, in processes of their own, or on a Ray cluster."""
