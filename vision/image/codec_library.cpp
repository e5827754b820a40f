#include "vision/image/codec_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <filesystem>
#include <system_error>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

constexpr const char* kModule = "libmmbatch_image_codec.so";

ImageCodec load() {
  namespace fs = std::filesystem;
  // Not by the loader's search path: the address sanitizer's dlopen() does not know the executable's.
  const fs::path folder = fs::read_symlink("/proc/self/exe").parent_path();
  std::string problems;
  for (const fs::path& place : {folder, folder.parent_path(), folder.parent_path() / "lib" / "mmbatch"}) {
    const fs::path file = place / kModule;
    std::error_code failed;
    if (!fs::exists(file, failed)) {
      problems += fmt::format("\n  {}: not there", file.string());
      continue;
    }
    void* const module = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    void* const decode = module != nullptr ? ::dlsym(module, kDecodePixelsSymbol) : nullptr;
    void* const encode = decode != nullptr ? ::dlsym(module, kEncodeJpegSymbol) : nullptr;
    if (encode != nullptr)
      return {reinterpret_cast<DecodePixels*>(decode), reinterpret_cast<EncodeJpeg*>(encode)};
    problems += fmt::format("\n  {}", ::dlerror());
  }
  throw ModelError(fmt::format("the image decoder {} cannot be loaded; it belongs beside the program:{}",
                               kModule, problems));
}

}  // namespace

const ImageCodec& image_codec() {
  static const ImageCodec codec = load();
  return codec;
}

}  // namespace mmbatch
