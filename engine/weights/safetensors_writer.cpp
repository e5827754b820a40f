#include "engine/weights/safetensors_writer.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/output/output_file.h"

namespace mmbatch {
namespace {

/// A file under a temporary name, removed unless it is finished.
class NewFile {
 public:
  explicit NewFile(const std::filesystem::path& path) : path_(path) {
    try {
      const TemporaryFile made = make_temporary(path.has_parent_path() ? path.parent_path() : ".");
      part_ = made.path.string();
      descriptor_ = made.descriptor;
    } catch (const std::system_error& e) {
      fail(e.code().value());
    }
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  ~NewFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!part_.empty()) ::unlink(part_.c_str());
  }

  void write(const void* data, std::size_t bytes) {
    const auto* from = static_cast<const char*>(data);
    while (bytes > 0) {
      const ssize_t done = ::write(descriptor_, from, std::min<std::size_t>(bytes, 1 << 30));
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) fail(errno);
      from += done;
      bytes -= static_cast<std::size_t>(done);
    }
  }

  void finish() {
    if (::fsync(descriptor_) != 0) fail(errno);
    if (::close(std::exchange(descriptor_, -1)) != 0) fail(errno);
    if (::rename(part_.c_str(), path_.c_str()) != 0) fail(errno);
    part_.clear();
  }

 private:
  [[noreturn]] void fail(int code) const {
    throw OutputError(fmt::format("{}: cannot be written: {}", path_.string(), std::strerror(code)));
  }

  std::filesystem::path path_;
  std::string part_;
  int descriptor_ = -1;
};

}  // namespace

void write_safetensors(const std::filesystem::path& file, const std::vector<StoredTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header;
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::size_t offset = 0;
  for (const StoredTensor& tensor : tensors) {
    header[tensor.name] = {
        {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {offset, offset + tensor.bytes}}};
    offset += tensor.bytes;
  }
  std::string text = header.dump();
  std::uint64_t length = text.size() + 8;
  length = (length + 63) / 64 * 64 - 8;
  text.resize(length, ' ');  // blanks behind the header are part of the format
  NewFile out(file);
  out.write(&length, sizeof(length));
  out.write(text.data(), text.size());
  for (const StoredTensor& tensor : tensors) out.write(tensor.data, tensor.bytes);
  out.finish();
}

}  // namespace mmbatch
