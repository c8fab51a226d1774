"""The architectures of the studies: plain ``torch.nn.Module`` files with the width as an argument."""

from torch import nn

from .cnn import CNN
from .lenet import LeNet
from .linear import Linear
from .mlp import MLP
from .normalization import FilterResponseNorm
from .parameterization import NTK, MuP, Parameterization, Standard, lr_factors, prior
from .perceptron import Perceptron
from .random_features import RandomFeatures
from .resnet import ResNet18, ResNet20
from .sparse import Sparse
from .transformer import Decoder, EncoderDecoder, Translator

REGISTRY: dict[str, type[nn.Module]] = {
    "mlp": MLP,
    "perceptron": Perceptron,
    "linear": Linear,
    "random_features": RandomFeatures,
    "lenet": LeNet,
    "cnn": CNN,
    "resnet18": ResNet18,
    "resnet20": ResNet20,
    "decoder": Decoder,
    "encoder_decoder": EncoderDecoder,
}

__all__ = [
    "CNN",
    "MLP",
    "NTK",
    "REGISTRY",
    "Decoder",
    "EncoderDecoder",
    "FilterResponseNorm",
    "LeNet",
    "Linear",
    "MuP",
    "Parameterization",
    "Perceptron",
    "RandomFeatures",
    "ResNet18",
    "ResNet20",
    "Sparse",
    "Standard",
    "Translator",
    "lr_factors",
    "prior",
]
