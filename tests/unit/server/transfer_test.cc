// Uploads and downloads: resumed, damaged, unwelcome.
#include <thread>

#include "tests/unit/server/test_server.h"

namespace crowdteach::server {
namespace {

struct Blob {
  explicit Blob(size_t size) : bytes(size, '\0') {
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 2654435761u >> 13);
    digest = base::Bytes(base::BlobDigest(base::BlobKind::kWeights, bytes));
  }
  std::string Chunk(uint64_t index) const {
    return bytes.substr(index * base::kChunkBytes, base::kChunkBytes);
  }
  v1::UploadHead Head(uint64_t first_chunk) const {
    v1::UploadHead head;
    head.set_kind(v1::WEIGHTS);
    head.set_digest(digest);
    head.set_size_bytes(bytes.size());
    head.set_first_chunk(first_chunk);
    return head;
  }
  std::string bytes;
  std::string digest;
};

struct UploadPlan {
  v1::UploadHead head;
  std::vector<std::string> payloads;
  bool break_off = false;  // the client vanishes instead of ending the stream
};

StatusOr<v1::Statement> Upload(Server& server, const std::string& token, const UploadPlan& plan) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  context.AddMetadata("authorization", "Bearer " + base::Hex(token));
  v1::UploadReply reply;
  const auto writer = server.stub->Upload(&context, &reply);
  v1::UploadPart part;
  *part.mutable_head() = plan.head;
  bool open = writer->Write(part);
  for (const std::string& payload : plan.payloads) {
    part.Clear();
    part.set_payload(payload);
    open = open && writer->Write(part);
  }
  if (plan.break_off) {
    context.TryCancel();
  } else {
    writer->WritesDone();
  }
  const Status status = wire::FromGrpc(writer->Finish());
  if (!status.ok()) return status;
  return Checked(server, reply.statement());
}

StatusOr<v1::GetUploadReply> GetUpload(Server& server, const std::string& token, const Blob& blob) {
  v1::GetUploadRequest request;
  *request.mutable_head() = blob.Head(0);
  return Call(server, &v1::Coordinator::Stub::GetUpload, request, token);
}

}  // namespace

TEST_CASE("an upload goes on where it broke off") {
  Server server;
  const std::string token = Join(server, v1::OWNER, ledger::SigningKey::Generate()).token();
  const Blob blob(3 * base::kChunkBytes + 17);
  REQUIRE(GetUpload(server, token, blob)->chunks() == 0);
  REQUIRE_FALSE(Upload(server, token, {blob.Head(0), {blob.Chunk(0), blob.Chunk(1)}, true}).ok());
  // The coordinator may still be at what was sent before the break; how much arrived is its to say.
  auto state = GetUpload(server, token, blob);
  for (int i = 0; i < 200 && !state.ok(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    state = GetUpload(server, token, blob);
  }
  INFO(state.status().ToString());
  REQUIRE(state.ok());
  REQUIRE(state->chunks() <= 2);
  const auto wrong = Upload(server, token, {blob.Head(state->chunks() + 1), {}});
  REQUIRE(absl::IsFailedPrecondition(wrong.status()));
  UploadPlan rest{blob.Head(state->chunks()), {}};
  for (uint64_t i = state->chunks(); i < 4; ++i) rest.payloads.push_back(blob.Chunk(i));
  const auto statement = Upload(server, token, rest);
  INFO(statement.status().ToString());
  REQUIRE(statement.ok());
  REQUIRE(statement->kind() == v1::UPLOAD_COMPLETE);
  REQUIRE(statement->subject() == blob.digest);
  REQUIRE(server.coordinator->artifacts().Exists(*base::HashFromBytes(blob.digest)));
  REQUIRE(GetUpload(server, token, blob)->complete());
  REQUIRE(Upload(server, token, {blob.Head(0), {}})->kind() == v1::UPLOAD_COMPLETE);  // once more
}

TEST_CASE("whoever begins an upload again ends the stream it lost") {
  Server server;
  const std::string token = Join(server, v1::OWNER, ledger::SigningKey::Generate()).token();
  const Blob blob(3 * base::kChunkBytes);
  // The first stream stays open, as after a link that broke without a word.
  grpc::ClientContext lost;
  lost.AddMetadata("authorization", "Bearer " + base::Hex(token));
  v1::UploadReply lost_reply;
  const auto writer = server.stub->Upload(&lost, &lost_reply);
  v1::UploadPart part;
  *part.mutable_head() = blob.Head(0);
  REQUIRE(writer->Write(part));
  part.Clear();
  part.set_payload(blob.Chunk(0));
  REQUIRE(writer->Write(part));
  const auto arrived = [&] {
    std::error_code error;
    return std::filesystem::file_size(
               server.home.path + "/artifacts/part/" + base::Hex(blob.digest), error) ==
               base::kChunkBytes &&
           !error;
  };
  for (int i = 0; i < 500 && !arrived(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  REQUIRE(arrived());
  auto state = GetUpload(server, token, blob);
  REQUIRE(absl::IsUnavailable(state.status()));
  for (int i = 0; i < 100 && !state.ok(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    state = GetUpload(server, token, blob);
  }
  REQUIRE(state.ok());
  REQUIRE(state->chunks() == 1);  // what came through the lost stream is not sent again
  REQUIRE_FALSE(writer->Finish().ok());
  const auto statement = Upload(server, token, {blob.Head(1), {blob.Chunk(1), blob.Chunk(2)}});
  REQUIRE(statement.ok());
  REQUIRE(statement->kind() == v1::UPLOAD_COMPLETE);
}

TEST_CASE("bytes that are not the blob announced are refused with a signed statement") {
  Server server;
  const std::string token = Join(server, v1::OWNER, ledger::SigningKey::Generate()).token();
  const Blob blob(base::kChunkBytes + 5);
  const auto refused = [&](std::vector<std::string> payloads) {
    const auto state = GetUpload(server, token, blob);
    REQUIRE(state.ok());
    payloads.erase(payloads.begin(), payloads.begin() + static_cast<ptrdiff_t>(state->chunks()));
    const auto statement = Upload(server, token, {blob.Head(state->chunks()), payloads});
    INFO(statement.status().ToString());
    REQUIRE(statement.ok());
    REQUIRE(statement->kind() == v1::UPLOAD_REFUSED);
    REQUIRE_FALSE(statement->reason().empty());
  };
  refused({blob.Chunk(0).substr(1)});      // a chunk too short
  refused({blob.Chunk(0)});                // ends too early
  refused({blob.Chunk(0), "12345", "6"});  // too long, and not its bytes
  refused({blob.Chunk(0), "12345"});       // wrong digest
  REQUIRE_FALSE(server.coordinator->artifacts().Exists(*base::HashFromBytes(blob.digest)));
  REQUIRE(GetUpload(server, token, blob)->chunks() == 0);  // begins again
}

TEST_CASE("who may not upload or read is told so") {
  Server server;
  const std::string owner = Join(server, v1::OWNER, ledger::SigningKey::Generate()).token();
  const std::string teacher = Join(server, v1::TEACHER, ledger::SigningKey::Generate()).token();
  const Blob blob(100);
  REQUIRE(Upload(server, teacher, {blob.Head(0), {blob.bytes}})->kind() == v1::UPLOAD_REFUSED);
  REQUIRE(absl::IsPermissionDenied(GetUpload(server, teacher, blob).status()));
  REQUIRE(Upload(server, owner, {blob.Head(0), {blob.bytes}})->kind() == v1::UPLOAD_COMPLETE);
  const auto download = [&](const std::string& token) {
    grpc::ClientContext context;
    if (!token.empty()) context.AddMetadata("authorization", "Bearer " + base::Hex(token));
    v1::DownloadRequest request;
    request.set_kind(v1::WEIGHTS);
    request.set_digest(blob.digest);
    const auto reader = server.stub->Download(&context, request);
    v1::Chunk chunk;
    REQUIRE_FALSE(reader->Read(&chunk));
    return wire::FromGrpc(reader->Finish());
  };
  REQUIRE(absl::IsNotFound(download(teacher)));  // no campaign names it
  REQUIRE(absl::IsUnauthenticated(download("")));
}

}  // namespace crowdteach::server
