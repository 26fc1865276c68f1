// campaign.toml: what an owner writes to launch a campaign. Keys are the names of v1::Terms in
// kebab-case; examples/fashion-mnist/campaign.toml shows them all. Unknown keys are errors.
//
//   key                     form                default
//   name                    string              required
//   model                   path of model.toml  required
//   weights                 path of safetensors none: fresh weights are made at launch
//   rounds, teachers        integer             required
//   quorum                  integer             ⌈2·teachers/3⌉
//   commit, upload          duration            "10m"
//   dispute, close          duration            "1d"
//   weighting               equal | examples    "examples"
//   max-examples            integer             1000000
//   scale-bits              integer             24
//   norm-cap                real, weight units  required
//   norm-rule               clip | reject       "clip"
//   scorer, reward          one each            "aumann-shapley", "market"
//   budget, credits-per-nat, stake  integer     required
//   min-cover               integer             ⌈stake/2⌉
//   max-aborts              integer             3
//   open-commitments        boolean             false
//   update-readers, validation-readers          "auditors" (or "enrolled", "public")
//   retention               duration            the dispute window
//   [data]        input-shape, feature-type (u8 | float32), classes: required; mean = 0,
//                 deviation = 1 (a real or a list of them); csv-label-column:
//                 none; csv-feature-columns: those of the validation set, as they stand
//   [local]       optimizer (sgd | adam) = "sgd"; learning-rate: required; momentum = 0,
//                 weight-decay = 0, fedprox-mu = 0, batch-size = 32; steps or epochs: one of them
//   [validation]  path: required, any form learning::ReadDataset takes; prefix (of IDX files in a
//                 folder, or the part of a .npz), limit (0: all): none
//
// A duration is a whole number and one of ms, s, m, h, d ("90s"). A real is a number, or its
// decimal text in quotes, with at most 9 decimals, taken exactly. Paths are relative to the file's
// folder. Thread-safety: pure functions over files.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "crowdteach/v1/ledger.pb.h"
#include "proto/base/status.h"

namespace crowdteach::client {

struct CampaignFile {
  v1::Terms terms;
  std::string model_path;
  std::string weights_path;  // empty: none
  std::string validation_path;
  std::string validation_prefix;  // empty: none
  uint64_t validation_limit = 0;  // 0: all

  // Of a model as code: the TorchScript file, which stands beside model.toml.
  std::string ModelCodePath() const;
  // For learning::ReadDataset: the path, with ":prefix" where there is one.
  std::string ValidationSpec() const;
};

// Parses `text`; `name` is the file's name in messages, and relative paths start at its folder.
// `sets` are overrides "key=value" ("rounds=3", "local.learning-rate=0.1"); the value is TOML, or
// else a plain string. Reads no other file: terms.model_toml stays empty and the terms are not
// validated. kInvalidArgument: "‹name›:‹line›: ‹key›: what is wrong".
StatusOr<CampaignFile> ParseCampaign(std::string_view text, const std::string& name,
                                     const std::vector<std::string>& sets = {});

// Reads the file, the model's text, and the columns of a validation table unless they are listed
// (learning::ListCsvColumns), and validates the terms (ledger::ValidateTerms). kInvalidArgument,
// kNotFound, kPermissionDenied, kUnavailable.
StatusOr<CampaignFile> LoadCampaign(const std::string& path,
                                    const std::vector<std::string>& sets = {});

// "90s" → 90000. kInvalidArgument.
StatusOr<uint64_t> ParseDurationMs(std::string_view text);

// Decimal text to units of 10^-9, exactly: "0.05" → 50000000. kInvalidArgument: not a decimal
// number, more than 9 decimals, beyond ±9·10^9.
StatusOr<int64_t> ParseNano(std::string_view text);

}  // namespace crowdteach::client
