"""The gateway: the only door to a target.

It plans a batch, removes duplicates, takes what is already stored, holds the rest to the budget, asks the target (with
retries and, for remote endpoints, a concurrency that adapts to how much they bear), stores each batch as it is
answered, and counts true queries.

Batches are cut from the whole plan before stored answers are taken out, and a batch is stored whole. So a resumed run
asks the same batches as one that was never stopped, and a target whose numbers depend on the batch in their last digits
gives the same findings.
"""

from audit.gateway.door import Gateway
from audit.gateway.likelihoods import likelihoods
from audit.gateway.records import Ask, Budget, Estimate, Price, Progress, Retry

__all__ = ["Ask", "Budget", "Estimate", "Gateway", "Price", "Progress", "Retry", "likelihoods"]
