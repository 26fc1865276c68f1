#!/usr/bin/python3
"""The first images of Fashion-MNIST in the formats people have, written by NumPy and Pillow.

  make_data.py FOLDER COUNT    Debian's python3-numpy and python3-pil, so run by /usr/bin/python3
"""

import gzip
import pathlib
import sys
import zipfile

import numpy
from PIL import Image

FASHION_MNIST = pathlib.Path("/usr/share/datasets/fashion-mnist")
CLASSES = ["T-shirt_top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker",
           "Bag", "Ankle boot"]


def read(kind, start, count, shape):
    with gzip.open(FASHION_MNIST / f"t10k-{kind}-ubyte.gz") as file:
        data = numpy.frombuffer(file.read(), "u1", offset=start)
    return data.reshape(shape)[:count]


def main(folder, count):
    images = read("images-idx3", 16, count, (-1, 28, 28))
    labels = read("labels-idx1", 8, count, (-1,))
    numpy.save(folder / "x.npy", images.astype("f8"))
    numpy.save(folder / "y.npy", labels.astype(">i4").reshape(-1, 1))
    numpy.savez_compressed(folder / "keras.npz", x_train=images, y_train=labels,
                           x_test=images[:, :, :, None], y_test=labels)
    for i, (image, label) in enumerate(zip(images, labels)):
        path = folder / "pictures" / CLASSES[label]
        path.mkdir(parents=True, exist_ok=True)
        # JPEG changes pixels; one in five is enough to see that it is taken.
        Image.fromarray(image).save(path / f"{i:05}.{'jpg' if i % 5 == 0 else 'png'}")

    hostile = folder / "hostile"
    hostile.mkdir()
    numpy.save(hostile / "pickle.npy", numpy.array([{"a": 1}], dtype=object))
    numpy.save(hostile / "fortran.npy", numpy.asfortranarray(images))
    wrong = labels.copy()
    wrong[7] = 10
    numpy.save(hostile / "labels.npy", wrong)
    nan = images.astype("f4")
    nan[3, 2, 1] = numpy.nan
    numpy.save(hostile / "nan.npy", nan)
    # More than the array's header announces: 256 MiB of zeros in 256 KiB.
    with zipfile.ZipFile(hostile / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array, more in (("x", images, 256), ("y", labels, 0)):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                numpy.lib.format.write_array(entry, array)
                for _ in range(more):
                    entry.write(bytes(1 << 20))
    # Announcing 700 TB.
    for name, shape in (("huge", (10**12, 28, 28)), ("huge_labels", (10**12,))):
        with open(hostile / f"{name}.npy", "wb") as file:
            numpy.lib.format.write_array_header_1_0(
                file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            file.write(bytes(1000))
    Image.fromarray(numpy.zeros((20000, 20000), "u1")).save(hostile / "large.png")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), int(sys.argv[2]))
