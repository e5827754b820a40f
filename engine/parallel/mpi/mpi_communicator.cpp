#include <mpi.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <stdexcept>
#include <thread>

#include "engine/parallel/launcher.h"

namespace mmbatch {
namespace {

constexpr int kTag = 1;

int checked_count(std::size_t count) {
  if (count > static_cast<std::size_t>(std::numeric_limits<int>::max()))
    throw std::length_error("a message between processes is longer than MPI takes");
  return static_cast<int>(count);
}

/// MPI's default handler ends all processes at an error.
class MpiCommunicator final : public Communicator {
 public:
  MpiCommunicator() {
    int given = 0;
    ::MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &given);
    ::MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    ::MPI_Comm_size(MPI_COMM_WORLD, &size_);
    MPI_Comm here = MPI_COMM_NULL;
    ::MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &here);
    ::MPI_Comm_size(here, &size_here_);
    ::MPI_Comm_free(&here);
    if (given >= MPI_THREAD_SERIALIZED) return;
    throw std::runtime_error("this MPI cannot be called by several threads, one after the other");
  }
  ~MpiCommunicator() override { ::MPI_Finalize(); }

  std::size_t rank() const override { return static_cast<std::size_t>(rank_); }
  std::size_t size() const override { return static_cast<std::size_t>(size_); }
  std::size_t size_here() const override { return static_cast<std::size_t>(size_here_); }

  void gather_everywhere(const float* own, std::size_t count, float* all) override {
    const int floats = checked_count(count);
    ::MPI_Allgather(own, floats, MPI_FLOAT, all, floats, MPI_FLOAT, MPI_COMM_WORLD);
  }
  void gather(const float* own, std::size_t count, float* all) override {
    const int floats = checked_count(count);
    ::MPI_Gather(own, floats, MPI_FLOAT, all, floats, MPI_FLOAT, 0, MPI_COMM_WORLD);
  }
  void send(std::span<const std::byte> message) override {
    const int bytes = checked_count(message.size());
    for (int to = 1; to < size_; ++to) ::MPI_Send(message.data(), bytes, MPI_BYTE, to, kTag, MPI_COMM_WORLD);
  }
  std::vector<std::byte> receive() override {
    using Clock = std::chrono::steady_clock;
    MPI_Status status;
    int arrived = 0;
    for (const auto begin = Clock::now();;) {
      ::MPI_Iprobe(0, kTag, MPI_COMM_WORLD, &arrived, &status);
      if (arrived != 0) break;
      // Steps follow each other closely; who waits for longer leaves the core to others.
      if (Clock::now() - begin < std::chrono::microseconds(200))
        ::sched_yield();
      else
        std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    int bytes = 0;
    ::MPI_Get_count(&status, MPI_BYTE, &bytes);
    std::vector<std::byte> message(static_cast<std::size_t>(bytes));
    ::MPI_Recv(message.data(), bytes, MPI_BYTE, 0, kTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    return message;
  }
  [[noreturn]] void end_all(const std::string& why) override {
    constexpr int kModelOrDatabase = 3;  // exit code
    std::fprintf(stderr, "mmbatch, process %d of %d: %s\n", rank_, size_, why.c_str());
    ::MPI_Abort(MPI_COMM_WORLD, kModelOrDatabase);
    std::abort();
  }

 private:
  int rank_ = 0, size_ = 1, size_here_ = 1;
};

}  // namespace
}  // namespace mmbatch

extern "C" __attribute__((visibility("default"))) mmbatch::Communicator* mmbatch_make_communicator() {
  return new mmbatch::MpiCommunicator;
}
