#include "vision/image/helper/image_helper.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "engine/base/error.h"
#include "vision/image/codec/image_codec.h"
#include "vision/image/formats/image_bytes.h"
#include "vision/image/helper/process.h"

namespace mmbatch {
namespace {

using namespace helper;

constexpr const char* kProgramVariable = "MMBATCH_IMAGE_HELPER";

/// Helper processes that wait for an image.
class Pool {
 public:
  explicit Pool(Kind kind) : kind_(kind) {}
  ~Pool() { leave_to_parent(); }

  std::unique_ptr<Process> take() {
    {
      const std::lock_guard lock(mutex_);
      leave_to_parent();
      if (!idle_.empty()) {
        auto process = std::move(idle_.back());
        idle_.pop_back();
        return process;
      }
    }
    return fresh();
  }
  std::unique_ptr<Process> fresh() const { return std::make_unique<Process>(image_helper_program(), kind_); }

  void give_back(std::unique_ptr<Process> process) {
    const std::lock_guard lock(mutex_);
    if (idle_.size() < std::max(1u, std::thread::hardware_concurrency())) idle_.push_back(std::move(process));
  }

 private:
  /// After a fork the helpers are another process's.
  void leave_to_parent() {
    if (owner_ == ::getpid()) return;
    for (const auto& process : idle_) process->forget();
    idle_.clear();
    owner_ = ::getpid();
  }

  const Kind kind_;
  std::mutex mutex_;
  pid_t owner_ = ::getpid();
  std::vector<std::unique_ptr<Process>> idle_;
};

[[noreturn]] void out_of_memory(std::uint64_t bytes) {
  throw ItemError(
      ErrorCode::image_unreadable,
      fmt::format("shared memory of {} bytes for the image helper: {}", bytes, std::strerror(errno)));
}

/// A file without a name, in memory, whose size nobody can change.
class SharedMemory {
 public:
  explicit SharedMemory(std::size_t size)
      : size_(size), file_(::memfd_create("mmbatch-image", MFD_CLOEXEC | MFD_ALLOW_SEALING)) {
    if (!file_ || ::ftruncate(file_.get(), static_cast<off_t>(size)) != 0 ||
        ::fcntl(file_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
      out_of_memory(size);
    }
  }
  int file() const { return file_.get(); }

  void fill(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(file_.get(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) out_of_memory(size_);
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }
  /// The first bytes of it; another process may still change the file, not the copy.
  void copy_to(std::vector<std::uint8_t>& out) const {
    for (std::size_t at = 0; at < out.size();) {
      const ssize_t got = ::pread(file_.get(), out.data() + at, out.size() - at, static_cast<off_t>(at));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) out_of_memory(size_);
      at += static_cast<std::size_t>(got);
    }
  }

 private:
  std::size_t size_;
  Descriptor file_;
};

/// Of a process that may be in the hands of the image.
std::string printable(const char* text) {
  std::string out = text;
  for (char& c : out) {
    if (c < ' ' || c > '~') c = '?';
  }
  return out.empty() ? "it cannot be decoded" : out;
}

/// A libheif decoder keeps a picture in several forms, libjxl one in 32-bit floats.
std::uint64_t memory_for(std::span<const std::byte> encoded, std::uint64_t pixels) {
  return (std::uint64_t{512} << 20) + 2 * encoded.size() + 56 * pixels;
}

Pool& pool_of(Kind kind) {
  static Pool images(Kind::images), documents(Kind::documents), videos(Kind::videos);
  return kind == Kind::images ? images : kind == Kind::documents ? documents : videos;
}

Image take_image(HelperAnswer answer, const ImageHeader& header, const ImageBytes& bytes) {
  const Reply& reply = answer.reply;
  const bool turned = header.orientation >= 5;
  const std::int64_t width = turned ? header.height : header.width,
                     height = turned ? header.width : header.height;
  // HEIC and AVIF may be cropped by their container.
  const bool crops = header.format == ImageFormat::heic || header.format == ImageFormat::avif;
  const bool fits = crops ? reply.width >= 1 && reply.height >= 1 &&
                                std::int64_t{reply.width} * reply.height <= header.width * header.height
                          : reply.width == width && reply.height == height;
  if (!fits) {
    bytes.damaged(fmt::format("its header says {} x {} pixels, it holds {} x {}", width, height, reply.width,
                              reply.height));
  }
  Image image;
  image.width = reply.width;
  image.height = reply.height;
  image.rgb = std::move(answer.rgb);
  return image;
}

}  // namespace

std::filesystem::path image_helper_program() {
  namespace fs = std::filesystem;
  if (const char* named = std::getenv(kProgramVariable); named != nullptr && *named != '\0') return named;
  const fs::path self = fs::read_symlink("/proc/self/exe");
  // By that name it is still there when the file has been replaced.
  if (self.filename().string().rfind("mmbatch ", 0) == 0 || self.filename() == "mmbatch")
    return "/proc/self/exe";
  std::string places;
  for (const fs::path& folder :
       {self.parent_path(), self.parent_path().parent_path(), self.parent_path().parent_path() / "bin"}) {
    std::error_code failed;
    const fs::path program = folder / "mmbatch";
    if (fs::is_regular_file(program, failed)) return program;
    places += fmt::format(" {}", program.string());
  }
  throw ItemError(
      ErrorCode::unsupported,
      fmt::format("images of this format are decoded by a process of the program mmbatch, which is not at "
                  "any of:{}; set {}",
                  places, kProgramVariable));
}

std::string_view helper_argument(Kind kind) {
  switch (kind) {
    case Kind::images:
      return "--serve-as-image-helper";
    case Kind::documents:
      return "--serve-as-document-helper";
    case Kind::videos:
      return "--serve-as-video-helper";
  }
  return "";
}

std::optional<Kind> helper_asked_for(int argc, const char* const* argv) {
  for (const Kind kind : {Kind::images, Kind::documents, Kind::videos}) {
    if (argc == 2 && argv[1] == helper_argument(kind)) return kind;
  }
  return std::nullopt;
}

HelperAnswer call_helper(const HelperCall& call) {
  const auto format = static_cast<ImageFormat>(call.request.format);
  const ImageBytes bytes(call.encoded, to_string(format));
  const std::uint64_t capacity = std::max<std::uint64_t>(1, call.capacity);
  SharedMemory input(call.encoded.size()), output(capacity);
  input.fill(call.encoded);
  Process::Task task{.request = call.request,
                     .encoded = input.file(),
                     .pixels = output.file(),
                     .memory = call.memory,
                     .time = call.time};
  task.request.size = call.encoded.size();
  task.request.capacity = capacity;
  Pool& pool = pool_of(call.kind);
  auto process = pool.take();
  const bool used = process->used();
  auto reply = process->exchange(task);
  if (used && std::holds_alternative<std::string>(reply)) {
    // An image before this one may have harmed it: what a fresh helper makes of this one counts.
    process = pool.fresh();
    reply = process->exchange(task);
  }
  if (const auto* ended = std::get_if<std::string>(&reply)) bytes.damaged(*ended);
  pool.give_back(std::move(process));
  HelperAnswer answer{std::get<Reply>(reply), {}};
  using Outcome = CodecResult::Outcome;
  if (answer.reply.outcome == static_cast<std::int32_t>(Outcome::unsupported))
    bytes.unsupported(printable(answer.reply.problem));
  if (answer.reply.outcome == static_cast<std::int32_t>(Outcome::absent))
    throw ItemError(ErrorCode::image_unreadable, printable(answer.reply.problem));
  if (answer.reply.outcome != static_cast<std::int32_t>(Outcome::decoded))
    bytes.damaged(printable(answer.reply.problem));
  if (call.capacity == 0) return answer;
  const std::int64_t width = answer.reply.width, height = answer.reply.height;
  if (width < 1 || height < 1 ||
      static_cast<std::uint64_t>(width) * static_cast<std::uint64_t>(height) > capacity / 3)
    bytes.damaged("it holds more pixels than its header says");
  answer.rgb.resize(static_cast<std::size_t>(width * height * 3));
  output.copy_to(answer.rgb);
  return answer;
}

Image decode_in_helper(std::span<const std::byte> encoded, const ImageHeader& header,
                       const ImageLimits& limits) {
  const auto pixels = static_cast<std::uint64_t>(header.width * header.height);
  HelperAnswer answer = call_helper({.kind = Kind::images,
                                     .request = {.format = static_cast<std::int32_t>(header.format),
                                                 .truncated = static_cast<std::int32_t>(limits.truncated)},
                                     .encoded = encoded,
                                     .capacity = 3 * pixels,
                                     .memory = memory_for(encoded, pixels),
                                     .time = limits.helper_time});
  return take_image(std::move(answer), header, ImageBytes(encoded, to_string(header.format)));
}

}  // namespace mmbatch
