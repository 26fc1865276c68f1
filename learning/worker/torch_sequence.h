// The forward passes of torch_layers.h for layers of sequences. Includes Torch: torch_* files only.
#pragma once

#include "learning/worker/torch_layers.h"

namespace crowdteach::learning {

at::Tensor ForwardEmbedding(const Embedding& a, const LayerTensors& own, const LayerCall& call);
at::Tensor ForwardLstm(const LSTM& a, const LayerTensors& own, const LayerCall& call);
at::Tensor ForwardGru(const GRU& a, const LayerTensors& own, const LayerCall& call);
at::Tensor ForwardAttention(const MultiheadAttention& a, const LayerTensors& own,
                            const LayerCall& call);
at::Tensor ForwardTransformer(const TransformerEncoderLayer& a, const LayerTensors& own,
                              const LayerCall& call);

}  // namespace crowdteach::learning
