#include "learning/worker/service.h"

#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <utility>

#include "crowdteach/v1/worker.pb.h"
#include "learning/worker/session.h"
#include "learning/worker_channel.h"
#include "proto/base/bytes.h"

namespace crowdteach::learning {
namespace {

constexpr size_t kMaxMessageBytes = 4096;

struct Request {
  v1::WorkerRequest message;
  std::vector<Fd> fds;
};

// Requests on their way from the reading thread to the working one.
struct Inbox {
  std::mutex mutex;
  std::condition_variable arrived;
  std::deque<Request> requests;
  std::atomic<uint64_t> cancelled = 0;  // the last id given up
};

// Ends the process when the socket does: there is nobody left to work for.
void ReadRequests(int socket, Inbox* inbox) {
  FrameReader reader(socket);
  while (true) {
    Frame frame;
    Request request;
    const StatusOr<bool> received = reader.Receive(true, &frame);
    if (!received.ok() || (*received && !request.message.ParseFromString(frame.bytes))) {
      _exit(0);
    }
    if (request.message.has_cancel()) {
      inbox->cancelled = request.message.id();
      continue;
    }
    request.fds = std::move(frame.fds);
    const std::lock_guard lock(inbox->mutex);
    inbox->requests.push_back(std::move(request));
    inbox->arrived.notify_one();
  }
}

Status Send(int socket, const v1::WorkerReply& reply) {
  return SendFrame(socket, reply.SerializeAsString(), {}, -1);
}

v1::WorkerReply ErrorReply(uint64_t id, const Status& status) {
  v1::WorkerReply reply;
  reply.set_id(id);
  reply.mutable_error()->set_code(static_cast<uint32_t>(status.code()));
  reply.mutable_error()->set_message(base::Printable(Message(status).substr(0, kMaxMessageBytes)));
  return reply;
}

class Worker {
 public:
  Worker(int socket, uint64_t memory_bytes, bool model_code, const Inbox& inbox)
      : socket_(socket), memory_bytes_(memory_bytes), model_code_(model_code), inbox_(inbox) {}

  v1::WorkerReply Handle(Request request) {
    const uint64_t id = request.message.id();
    v1::WorkerReply reply;
    reply.set_id(id);
    Status status;
    try {
      status = Dispatch(std::move(request), &reply);
    } catch (const std::bad_alloc&) {
      status = ResourceExhausted(
          "out of memory: raise the worker's memory limit, or use a "
          "smaller model or batch");
    } catch (const std::exception& error) {
      status = Internal("{}", error.what());
    }
    return status.ok() ? reply : ErrorReply(id, status);
  }

 private:
  Status Dispatch(Request request, v1::WorkerReply* reply) {
    const v1::WorkerRequest& message = request.message;
    if (message.has_load_model()) {
      return Load(message.load_model(), std::move(request.fds), reply);
    }
    if (session_ == nullptr) {
      return FailedPrecondition("the worker has no model yet");
    }
    const BatchDone done = [this, id = message.id()](uint64_t batch, uint64_t batches,
                                                     double loss) {
      return Progress(id, batch, batches, loss);
    };
    switch (message.kind_case()) {
      case v1::WorkerRequest::kTrain: {
        CT_ASSIGN_OR_RETURN(*reply->mutable_trained(),
                            session_->Train(message.train(), std::move(request.fds), done));
        return OkStatus();
      }
      case v1::WorkerRequest::kEvaluate: {
        CT_ASSIGN_OR_RETURN(*reply->mutable_evaluated(),
                            session_->Evaluate(message.evaluate(), std::move(request.fds), done));
        return OkStatus();
      }
      case v1::WorkerRequest::kGradient: {
        CT_ASSIGN_OR_RETURN(*reply->mutable_evaluated(),
                            session_->Gradient(message.gradient(), std::move(request.fds), done));
        return OkStatus();
      }
      default:
        return InvalidArgument(
            "the worker does not know this request; are both programs of one "
            "version?");
    }
  }

  Status Load(const v1::WorkerLoadModel& load, std::vector<Fd> fds, v1::WorkerReply* reply) {
    if (session_ != nullptr) {
      return FailedPrecondition("the worker has a model already; a worker serves one model");
    }
    if (fds.size() > 1) return InvalidArgument("{} files of code for one model", fds.size());
    if (!fds.empty() && !model_code_) {
      return InvalidArgument("models as code run only with --allow-model-code");
    }
    CT_ASSIGN_OR_RETURN(session_, Session::Load(load.model_toml(), load.data(), memory_bytes_,
                                                fds.empty() ? Fd() : std::move(fds[0])));
    reply->mutable_loaded()->set_parameters(session_->layout().total);
    reply->mutable_loaded()->set_trainable(session_->layout().trainable);
    return OkStatus();
  }

  Status Progress(uint64_t id, uint64_t batch, uint64_t batches, double loss) {
    if (inbox_.cancelled == id) {
      return absl::CancelledError("cancelled");
    }
    v1::WorkerReply reply;
    reply.set_id(id);
    reply.mutable_progress()->set_batch(batch);
    reply.mutable_progress()->set_batches(batches);
    reply.mutable_progress()->set_loss(loss);
    return Send(socket_, reply);
  }

  int socket_;
  uint64_t memory_bytes_;
  bool model_code_;
  const Inbox& inbox_;
  std::unique_ptr<Session> session_;
};

}  // namespace

Status SendHello(int socket, bool sandboxed) {
  v1::WorkerReply reply;
  reply.mutable_hello()->set_sandboxed(sandboxed);
  return Send(socket, reply);
}

Status SendRefusal(int socket, const Status& why) { return Send(socket, ErrorReply(0, why)); }

void Serve(int socket, uint64_t memory_bytes, bool model_code) {
  Inbox inbox;
  const std::thread reader(ReadRequests, socket, &inbox);
  Worker worker(socket, memory_bytes, model_code, inbox);
  while (true) {
    std::unique_lock lock(inbox.mutex);
    inbox.arrived.wait(lock, [&] { return !inbox.requests.empty(); });
    Request request = std::move(inbox.requests.front());
    inbox.requests.pop_front();
    lock.unlock();
    if (!Send(socket, worker.Handle(std::move(request))).ok()) {
      _exit(0);
    }
  }
}

}  // namespace crowdteach::learning
