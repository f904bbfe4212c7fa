"""From a month of subscriptions and use to documents in the ledger: the run, the documents, their reversal."""
