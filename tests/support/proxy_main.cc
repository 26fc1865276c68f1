// crowdteach-test-proxy: stands between clients and a coordinator and lets each take the other for
// a program of another version.
//
//   crowdteach-test-proxy COORDINATOR TLS-FOLDER CHANGE      until standard input ends
//
// CHANGE: old-client, new-client, old-coordinator, new-coordinator (of a protocol that the other
// does not speak), additions (fields and notices that nobody knows yet, in both directions).
// Prints the port it listens on.
#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <string>

#include "proto/base/protocol.h"
#include "tests/support/proxy.h"

namespace {

using crowdteach::base::kNewestProtocol;
using crowdteach::base::kOldestProtocol;
using google::protobuf::Message;

constexpr int kUnknownField = 1999;

// In the message itself and in messages of its own, but not in what is signed: those are bytes.
void AddUnknown(Message* message) {
  const auto* reflection = message->GetReflection();
  reflection->MutableUnknownFields(message)->AddLengthDelimited(kUnknownField, "from the future");
}

template <typename M>
void Pretend(M* hello, uint32_t protocol, const char* program) {
  hello->set_protocol_version(protocol);
  hello->set_oldest_protocol(protocol);
  hello->set_program(program);
}

crowdteach::testing::ProxyHooks HooksFor(const std::string& change) {
  namespace v1 = crowdteach::v1;
  crowdteach::testing::ProxyHooks hooks;
  hooks.request = [change](uint64_t, const std::string&, const std::string&, Message* message) {
    if (change == "additions") AddUnknown(message);
    auto* hello = dynamic_cast<v1::HelloRequest*>(message);
    if (hello == nullptr) return;
    if (change == "old-client") Pretend(hello, kOldestProtocol - 1, "crowdteach 0.0.1");
    if (change == "new-client") Pretend(hello, kNewestProtocol + 1, "crowdteach 99.0.0");
  };
  hooks.reply = [change](uint64_t, Message* message) {
    if (change == "additions") AddUnknown(message);
    // A notice nobody knows, in place of the first, which asks for nothing to be done.
    auto* notice = dynamic_cast<v1::Notice*>(message);
    if (change == "additions" && notice != nullptr && notice->kind() == v1::Notice::WAITING) {
      notice->set_kind(static_cast<v1::Notice::Kind>(1000));
    }
    auto* hello = dynamic_cast<v1::HelloReply*>(message);
    if (hello == nullptr) return;
    if (change == "old-coordinator") Pretend(hello, kOldestProtocol - 1, "crowdteachd 0.0.1");
    if (change == "new-coordinator") Pretend(hello, kNewestProtocol + 1, "crowdteachd 99.0.0");
  };
  return hooks;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: crowdteach-test-proxy HOST:PORT TLS-FOLDER CHANGE\n", stderr);
    return 2;
  }
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  const auto identity =
      crowdteach::wire::LoadOrCreateIdentity(argv[2], static_cast<uint64_t>(now.count()));
  if (!identity.ok()) {
    std::fprintf(stderr, "%s\n", identity.status().ToString().c_str());
    return 5;
  }
  const crowdteach::testing::Proxy proxy(argv[1], *identity, HooksFor(argv[3]));
  std::cout << proxy.port() << std::endl;
  std::string ignored;
  while (std::getline(std::cin, ignored)) {
  }
  return 0;
}
