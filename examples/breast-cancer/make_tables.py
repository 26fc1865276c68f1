#!/usr/bin/python3
"""Makes train.csv and validation.csv from scikit-learn's copy of the data set, and prints the lines
`mean` and `deviation` for campaign.toml.

  make_tables.py /usr/lib/python3/dist-packages/sklearn/datasets/data/breast_cancer.csv [FOLDER]

That file stands in Debian's package python3-sklearn; scikit-learn itself is not used. Every fourth
row goes to the validation set.
"""

import csv
import math
import pathlib
import sys

MEASURES = ["radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity",
            "concave_points", "symmetry", "fractal_dimension"]
COLUMNS = [f"{kind}_{measure}" for kind in ("mean", "error", "worst") for measure in MEASURES]


def main(source, folder="."):
    with open(source, newline="") as file:
        count, features, *names = next(rows := csv.reader(file))
        table = [[*row[:-1], names[int(row[-1])]] for row in rows]
    assert len(table) == int(count) and len(COLUMNS) == int(features)
    train = [row for i, row in enumerate(table) if i % 4 != 3]
    validation = [row for i, row in enumerate(table) if i % 4 == 3]
    for name, part in (("train", train), ("validation", validation)):
        with open(pathlib.Path(folder) / f"{name}.csv", "w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([[*COLUMNS, "diagnosis"], *part])
    columns = [[float(value) for value in column] for column in list(zip(*train))[:-1]]
    means = [math.fsum(column) / len(column) for column in columns]
    deviations = [math.sqrt(math.fsum((x - mean) ** 2 for x in column) / len(column))
                  for column, mean in zip(columns, means)]
    for key, values in (("mean", means), ("deviation", deviations)):
        print(f"{key} = [{', '.join(f'{value:.3g}' for value in values)}]")


if __name__ == "__main__":
    main(*sys.argv[1:])
