// A task as the JSON file that a training program may read.
//
//   {"campaign": 9, "name": "…", "round": 3, "seed": "…",
//    "local": {"optimizer": "sgd", "learning_rate": 0.05, "momentum": 0.0, "weight_decay": 0.0,
//              "fedprox_mu": 0.0, "batch_size": 32, "steps": 20, "epochs": 0},
//    "data": {"input_shape": [1, 28, 28], "feature_type": "u8", "mean": [0.286],
//             "deviation": [0.353], "classes": ["…", …],
//             "csv_label_column": "", "csv_feature_columns": []},
//    "tensors": [{"name": "fc1.bias", "shape": [64], "role": "trained"}, …]}
//
// The seed is a string of decimal digits: 64 bits do not fit every reader's numbers. Pure.
#pragma once

#include <string>

#include "client/teacher.h"

namespace crowdteach::client {

std::string TaskJson(const Task& task);

}  // namespace crowdteach::client
