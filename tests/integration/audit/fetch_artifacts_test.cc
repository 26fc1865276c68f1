// Artifacts from a server that is honest, forgetful, or hostile: wrong bytes, too many, lies about
// sizes, no end.
#include "ledger/audit/fetch_artifacts.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>

#include "proto/base/exit_codes.h"
#include "tests/integration/audit/https_server.h"
#include "tests/support/status_matchers.h"

namespace crowdteach::audit {
namespace {

using base::BlobKind;
using testing::Refused;
using Handler = std::function<void(const httplib::Request&, httplib::Response&)>;

std::string Pattern(size_t size, unsigned seed = 1) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>((i + seed) * 2654435761u >> 13);
  return bytes;
}

NamedArtifact Named(const std::string& bytes, BlobKind kind = BlobKind::kUpdate) {
  NamedArtifact artifact;
  artifact.kind = kind;
  artifact.digest = base::BlobDigest(kind, bytes);
  artifact.campaign = 9;
  artifact.bytes = bytes.size();
  artifact.readers = v1::AUDITORS;
  return artifact;
}

// Serves every artifact by one handler that may be changed.
struct Shelf : ledger::HttpsServer {
  Shelf() {
    server->Get("/artifact/(.*)", [this](const httplib::Request& request, httplib::Response& to) {
      asked++;
      handler(request, to);
    });
    Start();
  }
  // As a coordinator does: whole, or the range asked for.
  static Handler Honest(std::string bytes) {
    return [bytes](const httplib::Request&, httplib::Response& response) {
      response.set_content_provider(bytes.size(), "application/octet-stream",
                                    [bytes](size_t at, size_t length, httplib::DataSink& sink) {
                                      return sink.write(bytes.data() + at, length);
                                    });
    };
  }
  StatusOr<FetchedArtifacts> Fetch(const std::vector<NamedArtifact>& wanted) {
    const auto client = Client();
    ArtifactOptions options;
    options.client = client.get();
    options.token = token;
    options.renew = renew;
    options.now_ms = 2'000;
    return FetchArtifacts(wanted, folder.File("artifacts"), std::move(options));
  }
  bool Has(const NamedArtifact& artifact) const {
    return std::filesystem::exists(folder.File("artifacts/" + base::Hex(artifact.digest)));
  }

  Handler handler;
  std::atomic<int> asked{0};
  std::string token;
  std::function<StatusOr<std::string>()> renew;
};

TEST_CASE("artifacts are fetched once, each whole") {
  Shelf shelf;
  const std::string bytes = Pattern(3 * base::kChunkBytes + 17);
  shelf.handler = Shelf::Honest(bytes);
  const NamedArtifact artifact = Named(bytes);
  const auto fetched = shelf.Fetch({artifact});
  INFO(fetched.status());
  REQUIRE(fetched.ok());
  CHECK(fetched->fetched == 1);
  CHECK(fetched->bytes == bytes.size());
  CHECK(learning::ReadBytes(shelf.folder.File("artifacts/" + base::Hex(artifact.digest))) == bytes);
  CHECK_FALSE(std::filesystem::exists(shelf.folder.File("artifacts/part")));
  const auto again = shelf.Fetch({artifact});
  CHECK(again->present == 1);
  CHECK(again->fetched == 0);
  CHECK(shelf.asked == 1);
}

TEST_CASE("a download goes on where it broke off") {
  Shelf shelf;
  const std::string bytes = Pattern(3 * base::kChunkBytes);
  std::vector<std::string> ranges;
  shelf.handler = [&](const httplib::Request& request, httplib::Response& response) {
    ranges.push_back(request.get_header_value("Range"));
    // A chunk and a half at a time.
    response.set_content_provider(bytes.size(), "application/octet-stream",
                                  [&bytes](size_t at, size_t length, httplib::DataSink& sink) {
                                    const size_t half = base::kChunkBytes * 3 / 2;
                                    sink.write(bytes.data() + at, std::min(length, half));
                                    return length <= half;
                                  });
  };
  const auto fetched = shelf.Fetch({Named(bytes)});
  INFO(fetched.status());
  REQUIRE(fetched.ok());
  CHECK(ranges == std::vector<std::string>{"", "bytes=1048576-", "bytes=2097152-"});
}

TEST_CASE("wrong bytes are nobody's artifact") {
  Shelf shelf;
  const std::string bytes = Pattern(base::kChunkBytes + 5);
  const NamedArtifact artifact = Named(bytes);
  shelf.handler = Shelf::Honest(Pattern(bytes.size(), 2));
  const auto fetched = shelf.Fetch({artifact});
  CHECK(Refused(fetched, absl::StatusCode::kDataLoss, "other bytes than the ledger names"));
  CHECK(ExitCodeOf(fetched.status()) == kExitDisproved);
  CHECK_FALSE(shelf.Has(artifact));
  shelf.handler = Shelf::Honest(bytes);  // and nothing of it stays in the way
  CHECK(shelf.Fetch({artifact}).ok());
}

TEST_CASE("a server that lies about sizes, or does not end, is left at once") {
  Shelf shelf;
  const std::string bytes = Pattern(base::kChunkBytes);
  const NamedArtifact artifact = Named(bytes);
  for (const std::string& other : {bytes + "x", bytes.substr(1), Pattern(5 * base::kChunkBytes)}) {
    shelf.handler = Shelf::Honest(other);
    CHECK(Refused(shelf.Fetch({artifact}), absl::StatusCode::kDataLoss, "by the ledger it has"));
  }
  std::atomic<uint64_t> sent{0};
  shelf.handler = [&](const httplib::Request&, httplib::Response& response) {
    response.set_chunked_content_provider("application/octet-stream",
                                          [&](size_t, httplib::DataSink& sink) {
                                            const std::string piece(1 << 16, 'x');
                                            sent += piece.size();
                                            return sink.write(piece.data(), piece.size());
                                          });
  };
  const auto endless = shelf.Fetch({artifact});
  CHECK(absl::IsDataLoss(endless.status()));
  CHECK(sent < 16 * base::kChunkBytes);  // what sockets buffer, no more
  CHECK_FALSE(shelf.Has(artifact));
  uint64_t on_disk = 0;
  for (const auto& item :
       std::filesystem::recursive_directory_iterator(shelf.folder.File("artifacts"))) {
    if (item.is_regular_file()) on_disk += item.file_size();
  }
  CHECK(on_disk <= bytes.size());
}

TEST_CASE("what cannot be had is listed, and is no error") {
  Shelf shelf;
  const auto answer = [](int code) -> Handler {
    return [code](const httplib::Request&, httplib::Response& response) { response.status = code; };
  };
  const NamedArtifact artifact = Named("bytes");
  shelf.handler = answer(403);
  auto fetched = shelf.Fetch({artifact});
  REQUIRE(fetched.ok());
  REQUIRE(fetched->left.size() == 1);
  CHECK(fetched->left[0].why == "by the terms for auditors and the owner");
  CHECK_FALSE(fetched->left[0].missing);
  shelf.handler = answer(404);
  fetched = shelf.Fetch({artifact});
  CHECK(fetched->left[0].missing);  // the terms keep it
  NamedArtifact lapsed = artifact;
  lapsed.kept_to_ms = 1'999;
  fetched = shelf.Fetch({lapsed});
  CHECK_FALSE(fetched->left[0].missing);
  CHECK(fetched->left[0].why.find("retention ended") != std::string::npos);
  const int asked = shelf.asked;
  NamedArtifact secret = artifact;
  secret.secret = "secret until the owner closes the campaign";
  fetched = shelf.Fetch({secret});
  CHECK(fetched->left[0].why == secret.secret);
  CHECK(shelf.asked == asked);
  for (const int code : {302, 409, 500}) {
    shelf.handler = answer(code);
    CHECK(ExitCodeOf(shelf.Fetch({artifact}).status()) == kExitRefused);
  }
}

TEST_CASE("a forgotten session is opened anew, once") {
  Shelf shelf;
  const std::string bytes = Pattern(100);
  shelf.token = "old";
  int renewed = 0;
  shelf.renew = [&]() -> StatusOr<std::string> { return fmt::format("new{}", ++renewed); };
  std::string good = "Bearer new1";
  shelf.handler = [&](const httplib::Request& request, httplib::Response& response) {
    if (request.get_header_value("Authorization") == good)
      return Shelf::Honest(bytes)(request, response);
    response.status = 401;
  };
  CHECK(shelf.Fetch({Named(bytes)}).ok());
  CHECK(renewed == 1);
  good = "Bearer never";
  const auto refused = shelf.Fetch({Named(Pattern(101))});
  CHECK(absl::IsUnauthenticated(refused.status()));
  CHECK(renewed == 2);
}

TEST_CASE("an update of a wrong shape is taken at the size it has") {
  Shelf shelf;
  NamedArtifact update = Named(Pattern(1000));
  update.at_most = true;
  update.bytes = 4000;
  shelf.handler = Shelf::Honest(Pattern(1000));
  const auto fetched = shelf.Fetch({update});
  INFO(fetched.status());
  CHECK(fetched.ok());
  NamedArtifact larger = Named(Pattern(5000));
  larger.at_most = true;
  larger.bytes = 4000;
  shelf.handler = Shelf::Honest(Pattern(5000));
  CHECK(Refused(shelf.Fetch({larger}), absl::StatusCode::kDataLoss, "at most 4000"));
}

}  // namespace
}  // namespace crowdteach::audit
