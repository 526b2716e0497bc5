"""Model families: what each can do, and how it is loaded and run; one folder a family."""
