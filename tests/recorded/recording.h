// A recorded session: what a real client and a real coordinator said to each other, a line an
// event.
//
//   clock MS                 the coordinator's clock stands at
//   > CALL METHOD TOKEN B64  a request of call number CALL, with the session's token in hex, or "-"
//   < CALL B64               a reply
//   . CALL CODE B64          the call's end: gRPC's code and message
//
// Streams that still run at the end have no end in the file.
#pragma once

#include <cstdint>
#include <fstream>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

#include "proto/base/bytes.h"
#include "tests/support/catch.h"

namespace crowdteach::testing {

struct Event {
  std::string kind;  // "clock", ">", "<", "."
  uint64_t number = 0;
  std::string method, token;
  int code = 0;
  std::string bytes;
};

class Recorder {
 public:
  explicit Recorder(const std::string& path) : file_(path) {}
  void Clock(uint64_t now_ms) { Write(fmt::format("clock {}", now_ms)); }
  void Request(uint64_t call, const std::string& method, const std::string& token,
               const std::string& bytes) {
    Write(fmt::format("> {} {} {} {}", call, method, token.empty() ? "-" : token,
                      base::Base64(bytes)));
  }
  void Reply(uint64_t call, const std::string& bytes) {
    Write(fmt::format("< {} {}", call, base::Base64(bytes)));
  }
  void End(uint64_t call, int code, const std::string& message) {
    Write(fmt::format(". {} {} {}", call, code, base::Base64(message)));
  }
  void Stop() {
    const std::lock_guard lock(mutex_);
    file_.close();
  }

 private:
  void Write(const std::string& line) {
    const std::lock_guard lock(mutex_);
    if (file_.is_open()) file_ << line << "\n";
  }
  std::mutex mutex_;
  std::ofstream file_;
};

inline std::vector<Event> ReadRecording(const std::string& path) {
  std::vector<Event> events;
  std::ifstream file(path);
  REQUIRE(file.is_open());
  for (std::string line; std::getline(file, line);) {
    std::istringstream in(line);
    Event& event = events.emplace_back();
    std::string base64;
    in >> event.kind >> event.number;
    if (event.kind == ">") in >> event.method >> event.token;
    if (event.kind == ".") in >> event.code;
    in >> base64;
    const auto bytes = base::ParseBase64(base64);
    REQUIRE(bytes.ok());
    event.bytes = *bytes;
  }
  return events;
}

}  // namespace crowdteach::testing
