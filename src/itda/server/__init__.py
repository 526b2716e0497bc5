"""One machine for a whole institute: queue, accounts, REST and pages."""
