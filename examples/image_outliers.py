"""What the likelihood of an image says, and what it does not: image_outliers.py [DIGITS.h5 [FLOW.h5]].

Needs h5py, and the flow that glow_digits.py has written. Digits that the flow has not seen are told from other images
of the same counts by their log-likelihood, and by its distance from the mean of the training digits: typicality [1].
Printed is the part of pairs, of a digit and another image, in which the other one is the stranger (AUROC): 1 tells all
apart, 0.5 none, and below that the strangers are the more likely ones. What is strange to the eye need not be: a blank
image is likelier than nearly every digit, as the likelihood follows how simple an image is, and so flows of larger
images find strangers likelier than their own data [2]. The distance from the typical tells it.

[1] Nalisnick, Matsukawa, Teh, Lakshminarayanan, "Detecting out-of-distribution inputs to deep generative models using
    typicality", arXiv:1906.02994. [2] Nalisnick, Matsukawa, Teh, Gorur, Lakshminarayanan, "Do deep generative models
    know what they don't know?", ICLR 2019.
"""

import sys

import diffeo
import h5py
import numpy as np

path = sys.argv[1] if len(sys.argv) > 1 else "digits.h5"
flow = diffeo.load(sys.argv[2] if len(sys.argv) > 2 else "glow-digits.h5")
with h5py.File(path) as file:
    images, labels = file["images"][:], file["onehot"][:].astype(np.float32)
train, test = slice(0, 1400), slice(1597, None)


def bits(x, given):
    """Of each image: here the label is known; of strangers the one under which they are likeliest."""
    return flow.bits_per_dim(x, given, seed=1)


def likeliest(x):
    every = [bits(x, np.eye(10, dtype=np.float32)[label]) for label in range(10)]
    return np.min(every, axis=0)


digits, typical = likeliest(images[test]), likeliest(images[train]).mean()
rng = np.random.default_rng(1)
others = {
    "mirrored digits": images[test][..., ::-1],
    "digits on their side": images[test].swapaxes(2, 3),
    "negatives": 16 - images[test],
    "digits in two halves": np.concatenate([images[test][:, :, 4:], images[test][:, :, :4]], axis=2),
    "pixels of digits, shuffled": rng.permuted(images[test].reshape(-1, 64), axis=1).reshape(-1, 1, 8, 8),
    "digits, half as dark": images[test] // 2,
    "noise": rng.integers(0, 17, images[test].shape),
    "blank": np.zeros_like(images[test]),
}
print(f"{'':28}{'bits a pixel':>13}{'likelihood':>12}{'typicality':>12}")
print(f"{'digits, not seen':28}{digits.mean():13.2f}")
for name, x in others.items():
    strange = likeliest(np.ascontiguousarray(x))
    by_likelihood = (strange[:, None] > digits).mean()
    by_typicality = (abs(strange - typical)[:, None] > abs(digits - typical)).mean()
    print(f"{name:28}{strange.mean():13.2f}{by_likelihood:12.2f}{by_typicality:12.2f}")
