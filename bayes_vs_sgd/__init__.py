"""Train one PyTorch module by SGD, sample it by MCMC, and compare the two with error bars.

Submodules load on first use, so ``from bayes_vs_sgd import samplers`` imports JAX and no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
