#include "ledger/artifact_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <random>
#include <vector>

#include "proto/base/bytes.h"
#include "tests/unit/ledger/log_fixture.h"

namespace crowdteach::ledger {
namespace {

using base::BlobKind;
using base::kChunkBytes;
using Code = absl::StatusCode;

std::string Blob(size_t size, uint32_t seed) {
  std::mt19937 random(seed);
  std::string blob(size, '\0');
  for (size_t i = 0; i < size; i += 997) blob[i] = static_cast<char>(random());
  return blob;
}

BlobName NameOf(const std::string& blob) {
  return {BlobKind::kUpdate, base::BlobDigest(BlobKind::kUpdate, blob), blob.size()};
}

std::string_view Chunk(std::string_view blob, uint64_t index) {
  return blob.substr(index * kChunkBytes, kChunkBytes);
}

std::string ReadBlob(const ArtifactStore& store, const base::Hash& digest) {
  return Value(ReadFile(Value(store.Read(digest)), "blob", size_t{1} << 30));
}

void ReceiveAll(ArtifactStore& store, const std::string& blob) {
  ArtifactStore::Writer writer = Value(store.Receive(NameOf(blob)));
  while (writer.next_chunk() < writer.chunks()) {
    RequireOk(writer.Write(writer.next_chunk(), Chunk(blob, writer.next_chunk())));
  }
  RequireOk(std::move(writer).Finish());
}

}  // namespace

TEST_CASE("blobs of every size are received, listed, read, verified and removed") {
  TemporaryFolder folder;
  const auto store = Value(ArtifactStore::Open(folder.File("artifacts")));
  for (const size_t size : {size_t{0}, size_t{1}, kChunkBytes - 1, kChunkBytes, kChunkBytes + 1,
                            3 * kChunkBytes, 3 * kChunkBytes + 5}) {
    INFO(size);
    const std::string blob = Blob(size, 1);
    const BlobName name = NameOf(blob);
    REQUIRE_FALSE(store->Exists(name.digest));
    REQUIRE(store->Read(name.digest).status().code() == Code::kNotFound);
    ReceiveAll(*store, blob);
    REQUIRE(ReadBlob(*store, name.digest) == blob);
    RequireOk(store->Verify(BlobKind::kUpdate, name.digest));
    REQUIRE(store->Receive(name).status().code() == Code::kAlreadyExists);
    REQUIRE(Value(store->List()) == std::vector<base::Hash>{name.digest});
    RequireOk(store->Remove(name.digest));
    REQUIRE(Value(store->List()).empty());
  }
}

TEST_CASE("receiving resumes at the last complete chunk after a restart") {
  TemporaryFolder folder;
  const std::string blob = Blob(4 * kChunkBytes + 77, 2);
  const BlobName name = NameOf(blob);
  {
    const auto store = Value(ArtifactStore::Open(folder.File("a")));
    ArtifactStore::Writer writer = Value(store->Receive(name));
    for (uint64_t i = 0; i < 3; ++i) RequireOk(writer.Write(i, Chunk(blob, i)));
  }
  const std::string part = folder.File("a/part/" + base::Hex(name.digest));
  REQUIRE(truncate(part.c_str(), 2 * kChunkBytes + 1000) == 0);  // as if the third was cut short
  const auto store = Value(ArtifactStore::Open(folder.File("a")));
  ArtifactStore::Writer writer = Value(store->Receive(name));
  REQUIRE(writer.next_chunk() == 2);
  for (uint64_t i = 2; i < 5; ++i) RequireOk(writer.Write(i, Chunk(blob, i)));
  RequireOk(std::move(writer).Finish());
  REQUIRE(ReadBlob(*store, name.digest) == blob);
}

TEST_CASE("a part longer than the blob is cut back") {
  TemporaryFolder folder;
  const auto store = Value(ArtifactStore::Open(folder.File("a")));
  const std::string blob = Blob(kChunkBytes + 9, 3);
  const BlobName name = NameOf(blob);
  std::ofstream(folder.File("a/part/" + base::Hex(name.digest))) << blob << "more";
  ArtifactStore::Writer writer = Value(store->Receive(name));
  REQUIRE(writer.next_chunk() == 2);
  RequireOk(std::move(writer).Finish());
  REQUIRE(ReadBlob(*store, name.digest) == blob);
}

TEST_CASE("wrong bytes are refused and removed") {
  TemporaryFolder folder;
  const auto store = Value(ArtifactStore::Open(folder.File("a")));
  std::string blob = Blob(2 * kChunkBytes, 4);
  const BlobName name = NameOf(blob);
  blob[kChunkBytes + 5] ^= 1;
  ArtifactStore::Writer writer = Value(store->Receive(name));
  RequireOk(writer.Write(0, Chunk(blob, 0)));
  RequireOk(writer.Write(1, Chunk(blob, 1)));
  REQUIRE(std::move(writer).Finish().code() == Code::kInvalidArgument);
  REQUIRE_FALSE(store->Exists(name.digest));
  writer = Value(store->Receive(name));
  REQUIRE(writer.next_chunk() == 0);
}

TEST_CASE("chunks out of order, of a wrong length, missing or surplus are refused") {
  TemporaryFolder folder;
  const auto store = Value(ArtifactStore::Open(folder.File("a")));
  const std::string blob = Blob(2 * kChunkBytes + 3, 5);
  ArtifactStore::Writer writer = Value(store->Receive(NameOf(blob)));
  REQUIRE(writer.Write(1, Chunk(blob, 1)).code() == Code::kFailedPrecondition);
  REQUIRE(writer.Write(0, blob.substr(0, 10)).code() == Code::kInvalidArgument);
  REQUIRE(writer.Write(0, blob).code() == Code::kInvalidArgument);
  RequireOk(writer.Write(0, Chunk(blob, 0)));
  REQUIRE(writer.Write(0, Chunk(blob, 0)).code() == Code::kFailedPrecondition);
  RequireOk(writer.Write(1, Chunk(blob, 1)));
  REQUIRE(writer.Write(2, Chunk(blob, 0)).code() == Code::kInvalidArgument);
  REQUIRE(store->Receive(NameOf(blob)).status().code() == Code::kFailedPrecondition);
  RequireOk(writer.Write(2, Chunk(blob, 2)));
  REQUIRE(writer.Write(3, "x").code() == Code::kFailedPrecondition);
  RequireOk(std::move(writer).Finish());
  ArtifactStore::Writer early = Value(store->Receive(NameOf(Blob(10, 6))));
  REQUIRE(std::move(early).Finish().code() == Code::kFailedPrecondition);
}

TEST_CASE("the kind and the size are part of the name") {
  TemporaryFolder folder;
  const auto store = Value(ArtifactStore::Open(folder.File("a")));
  const std::string blob = Blob(100, 7);
  BlobName name = NameOf(blob);
  name.kind = BlobKind::kWeights;
  ArtifactStore::Writer writer = Value(store->Receive(name));
  RequireOk(writer.Write(0, blob));
  REQUIRE(std::move(writer).Finish().code() == Code::kInvalidArgument);
}

TEST_CASE("blobs made here are put and adopted under their digests") {
  TemporaryFolder folder;
  const auto store = Value(ArtifactStore::Open(folder.File("a")));
  const std::string blob = Blob(kChunkBytes + 1, 8);
  const BlobName put = Value(store->Put(BlobKind::kUpdate, blob));
  REQUIRE(put.digest == NameOf(blob).digest);
  REQUIRE(Value(store->Put(BlobKind::kUpdate, blob)).digest == put.digest);
  const std::string path = store->TemporaryPath();
  std::ofstream(path, std::ios::binary) << blob;
  const BlobName adopted = Value(store->Adopt(BlobKind::kWeights, path));
  REQUIRE(adopted.size_bytes == blob.size());
  REQUIRE(adopted.digest == base::BlobDigest(BlobKind::kWeights, blob));
  REQUIRE(ReadBlob(*store, adopted.digest) == blob);
  REQUIRE(Value(store->List()).size() == 2);
}

TEST_CASE("a changed file is told, and what a dead process was making is cleared") {
  TemporaryFolder folder;
  auto store = Value(ArtifactStore::Open(folder.File("a")));
  const BlobName name = Value(store->Put(BlobKind::kData, "bytes"));
  std::ofstream(store->Path(name.digest)) << "bytez";
  REQUIRE(store->Verify(BlobKind::kData, name.digest).code() == Code::kDataLoss);
  const std::string left = store->TemporaryPath();
  std::ofstream(left) << "half";
  store = Value(ArtifactStore::Open(folder.File("a")));
  REQUIRE_FALSE(std::filesystem::exists(left));
}

TEST_CASE("files are listed with their age, published and not; other things are not listed") {
  const TemporaryFolder folder;
  const auto store = Value(ArtifactStore::Open(folder.File("artifacts")));
  const std::string whole = Blob(10, 1), half = Blob(2 * kChunkBytes, 2);
  ReceiveAll(*store, whole);
  {
    ArtifactStore::Writer writer = Value(store->Receive(NameOf(half)));
    RequireOk(writer.Write(0, Chunk(half, 0)));
  }
  std::ofstream(store->TemporaryPath()) << "being made";
  const timespec times[2] = {{1000, 0}, {1000, 250'000'000}};
  REQUIRE(utimensat(AT_FDCWD, store->Path(NameOf(whole).digest).c_str(), times, 0) == 0);
  const std::vector<ArtifactStore::File> files = Value(store->Files());
  REQUIRE(files.size() == 2);
  REQUIRE(files[0].published);
  REQUIRE(files[0].digest == NameOf(whole).digest);
  REQUIRE(files[0].written_ms == 1'000'250);
  REQUIRE_FALSE(files[1].published);
  REQUIRE(files[1].digest == NameOf(half).digest);
  REQUIRE(files[1].written_ms > kStartMs);
}

}  // namespace crowdteach::ledger
