// The Download stream: a blob in chunks, read from the artifact store and shared between peers.
//
// Thread-safety: any thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "proto/base/digest.h"
#include "server/rpc/context.h"

namespace crowdteach::server {

// Encoded chunks that were sent lately: a round's model is read and encoded once for all teachers.
class ChunkCache {
 public:
  explicit ChunkCache(size_t capacity) : capacity_(capacity) {}
  std::optional<grpc::ByteBuffer> Find(const base::Hash& digest, uint64_t index);
  void Put(const base::Hash& digest, uint64_t index, const grpc::ByteBuffer& chunk);

 private:
  using Key = std::pair<base::Hash, uint64_t>;
  struct Item {
    Key key;
    grpc::ByteBuffer chunk;
  };
  const size_t capacity_;  // chunks
  std::mutex mutex_;
  std::list<Item> items_;  // newest first
  std::map<Key, std::list<Item>::iterator> index_;
};

// The reactor of one call; deletes itself. `request` is an encoded DownloadRequest.
grpc::ServerWriteReactor<grpc::ByteBuffer>* StartDownload(RpcContext* context, ChunkCache* cache,
                                                          grpc::CallbackServerContext* call,
                                                          const grpc::ByteBuffer* request);

}  // namespace crowdteach::server
