"""The HTTP door: charges, refunds, events and endpoints under `/v1/billing`."""
