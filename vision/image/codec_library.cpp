#include "vision/image/codec_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

/// A function of a module.
void* load(const std::string& module_name, const char* symbol) {
  namespace fs = std::filesystem;
  // Not by the loader's search path: the address sanitizer's dlopen() does not know the executable's.
  const fs::path folder = fs::read_symlink("/proc/self/exe").parent_path();
  std::string problems;
  for (const fs::path& place : {folder, folder.parent_path(), folder.parent_path() / "lib" / "mmbatch"}) {
    const fs::path file = place / module_name;
    std::error_code failed;
    if (!fs::exists(file, failed)) {
      problems += fmt::format("\n  {}: missing", file.string());
      continue;
    }
    void* const module = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    void* const function = module != nullptr ? ::dlsym(module, symbol) : nullptr;
    if (function != nullptr) return function;
    problems += fmt::format("\n  {}", ::dlerror());
  }
  throw ModelError(fmt::format("the image codec {} cannot be loaded; it belongs beside the program:{}",
                               module_name, problems));
}

}  // namespace

DecodePixels* image_codec() {
  static auto* const decode =
      reinterpret_cast<DecodePixels*>(load("libmmbatch_image_codec.so", kDecodePixelsSymbol));
  return decode;
}

DecodePixels* helper_image_codec() {
  static auto* const decode =
      reinterpret_cast<DecodePixels*>(load("libmmbatch_image_codec_more.so", kDecodePixelsSymbol));
  return decode;
}

ReadDocument* document_codec() {
  static auto* const read =
      reinterpret_cast<ReadDocument*>(load("libmmbatch_document_codec.so", kReadDocumentSymbol));
  return read;
}

ReadDocument* video_codec() {
  static auto* const read =
      reinterpret_cast<ReadDocument*>(load("libmmbatch_video_codec.so", kReadDocumentSymbol));
  return read;
}

EncodeJpeg* thumbnail_codec() {
  static auto* const encode =
      reinterpret_cast<EncodeJpeg*>(load("libmmbatch_thumbnail_codec.so", kEncodeJpegSymbol));
  return encode;
}

}  // namespace mmbatch
