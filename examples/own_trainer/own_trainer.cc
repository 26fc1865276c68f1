// A trainer written by hand: softmax regression on Fashion-MNIST, with no library for learning.
#include <crowdteach/teacher.h>
#include <zlib.h>

#include <cmath>
#include <cstdio>
#include <numeric>
#include <random>
using namespace crowdteach;
constexpr int kPixels = 784, kClasses = 10, kExamples = 60'000, kSteps = 20'000;

std::vector<uint8_t> Read(const std::string& path, int header, int count) {
  std::vector<uint8_t> bytes(header + count);
  gzFile file = gzopen(path.c_str(), "rb");
  if (gzread(file, bytes.data(), header + count) != header + count) bytes.resize(header);
  gzclose(file);
  return {bytes.begin() + header, bytes.end()};
}

struct Hand : Trainer, Observer {
  std::vector<uint8_t> images, labels;
  absl::StatusOr<uint64_t> Prepare(const Campaign& campaign) override {
    if (images.empty() || labels.empty()) return absl::NotFoundError("no Fashion-MNIST there");
    if (campaign.weights == kClasses * (kPixels + 1)) return kExamples;  // fc.bias, fc.weight
    return absl::InvalidArgumentError("the model is no softmax regression");
  }
  absl::StatusOr<TrainingSummary> Train(const Task& task, std::span<float> weights,
                                        Progress& progress, std::stop_token stop) override {
    std::mt19937_64 random(task.seed);
    for (int step = 1; step <= kSteps; ++step) {
      if (stop.stop_requested()) return absl::CancelledError("stopped");
      const size_t example = random() % kExamples;
      float x[kPixels], p[kClasses];
      for (int i = 0; i < kPixels; ++i)  // normalised as the campaign's terms say
        x[i] = (images[example * kPixels + i] / 255.F - 0.286F) / 0.353F;
      for (int c = 0; c < kClasses; ++c)
        p[c] = std::exp(std::inner_product(x, x + kPixels, &weights[10 + c * kPixels], weights[c]));
      const float sum = std::accumulate(p, p + kClasses, 0.F);
      for (int c = 0; c < kClasses; ++c) {
        const float change = 2e-8F * (kSteps - step) * (p[c] / sum - (c == labels[example]));
        weights[c] -= change;
        for (int i = 0; i < kPixels; ++i) weights[10 + c * kPixels + i] -= change * x[i];
      }
      if (step % 1000 == 0) progress.Step(step, kSteps, -std::log(p[labels[example]] / sum));
    }
    return TrainingSummary{.examples = kSteps};
  }
  void Settled(const Settlement& its) override {
    if (its.ours) std::printf("round %u: %+.4f nats\n", its.round, its.ours->score_nats);
  }
} hand;

int main(int argc, char** argv) {  // agrees to whatever the terms are
  if (argc != 4) return std::puts("usage: own_trainer INVITE HOME DATA"), 2;
  hand.images = Read(argv[3] + std::string("/train-images-idx3-ubyte.gz"), 16, 47'040'000);
  hand.labels = Read(argv[3] + std::string("/train-labels-idx1-ubyte.gz"), 8, kExamples);
  auto teacher = Teacher::Join(argv[1], argv[2], {.agree = [](auto&) { return absl::OkStatus(); }});
  const absl::Status ended = teacher.ok() ? teacher->Teach(hand, hand) : teacher.status();
  return std::puts(ended.ok() ? "OK" : std::string(ended.message()).c_str()) < 0 || !ended.ok();
}
