"""Trains a Glow with splines on 8 x 8 digits and draws samples beside data: glow_digits.py [DIGITS.h5 [EPOCHS]].

Needs h5py. Under a minute. Writes glow-digits.h5 and glow-digits.pgm: a line of digits of the data; samples of each
label at the temperatures 0.5, 0.7 and 1, and below each the nearest digit that was trained on, so that nobody suspects
memory.
"""

import sys

import diffeo
import h5py
import numpy as np

path = sys.argv[1] if len(sys.argv) > 1 else "digits.h5"
epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 30
with h5py.File(path) as file:  # counts 0 to 16, and one-hot labels; the attribute `source` says whose
    images, labels = file["images"][:], file["onehot"][:].astype(np.float32)
train, held, test = slice(0, 1400), slice(1400, 1597), slice(1597, None)

flow = diffeo.glow_image(
    images.shape[1:], context_dim=10, quantization=17, steps=6, hidden=(32, 32), kernels=(5, 1, 1),
    transformer=diffeo.Spline(), seed=1)  # fmt: skip
history = flow.fit(
    images[train], context=labels[train], validation=(images[held], labels[held]), batch_size=64, max_epochs=epochs,
    lr=3e-3, schedule="cosine", ema_decay=0.99, progress=False)  # fmt: skip
bits = flow.bits_per_dim(images[test], labels[test], seed=1)
print(f"{bits.mean():.3f} +- {2 * bits.std() / np.sqrt(len(bits)):.3f} bits a pixel on digits not seen")
flow.save("glow-digits.h5")

lines = [np.concatenate([images[test][labels[test].argmax(1) == label][:1] for label in range(10)])]
for temperature in 0.5, 0.7, 1.0:
    samples = np.floor(flow.sample(10, np.eye(10), temperature=temperature, seed=3)).clip(0, 16)
    distances = ((samples[:, None] - images[None, train]) ** 2).sum((2, 3, 4))
    lines += [samples, images[train][distances.argmin(1)]]
sheet = np.concatenate([np.concatenate(list(line[:, 0]), axis=1) for line in lines])
pixels = (255 - 255 * sheet / 16).astype(np.uint8).repeat(4, axis=0).repeat(4, axis=1)
with open("glow-digits.pgm", "wb") as file:
    file.write(b"P5 %d %d 255\n" % pixels.shape[::-1] + pixels.tobytes())
print("wrote glow-digits.pgm")
