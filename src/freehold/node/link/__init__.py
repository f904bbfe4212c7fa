"""The link to the Master: requests over TLS, enrolment, the feed and the outbox."""
