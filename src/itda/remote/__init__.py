"""A server that is used from elsewhere: what travels, and the client."""
