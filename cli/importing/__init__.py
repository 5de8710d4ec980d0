"""Files of charges or refunds: read line by line, checked as a whole, and sent in batches."""
