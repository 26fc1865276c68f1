// The worker's side of the socket (worker.proto): hello, then requests, one at a time.
#pragma once

#include <cstdint>

#include "proto/base/status.h"

namespace crowdteach::learning {

// The first message: ready for foreign bytes; or the last one: why there will be no worker.
// kUnavailable: nobody is there.
Status SendHello(int socket, bool sandboxed);
Status SendRefusal(int socket, const Status& why);

// Serves until the other end closes the socket, then ends the process. Models and batches may take
// `memory_bytes`. `model_code`: a model may be TorchScript.
//
// A thread of its own reads the socket, so that a cancellation is seen between two batches, and
// the process ends at once when the program it works for is gone, even in the middle of a batch.
// (PR_SET_PDEATHSIG would not do: it fires when the *thread* that spawned the worker ends.)
[[noreturn]] void Serve(int socket, uint64_t memory_bytes, bool model_code);

}  // namespace crowdteach::learning
