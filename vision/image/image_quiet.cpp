#include "vision/image/image_quiet.h"

#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <iostream>
#include <streambuf>
#include <string_view>

namespace mmbatch {
namespace {

constexpr std::size_t kMaxText = 4096;

thread_local std::string* captured = nullptr;  // where this thread's messages go; null prints them

void capture(std::string_view text) {
  captured->append(text.substr(0, kMaxText - std::min(kMaxText, captured->size())));
}

/// fopencookie's write function behind `stderr`.
ssize_t write_or_capture(void*, const char* data, std::size_t size) {
  if (captured != nullptr) {
    capture({data, size});
    return static_cast<ssize_t>(size);
  }
  std::size_t done = 0;
  while (done < size) {
    const ssize_t written = ::write(STDERR_FILENO, data + done, size - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return 0;
    done += static_cast<std::size_t>(written);
  }
  return static_cast<ssize_t>(size);
}

/// Unbuffered, behind std::cerr.
class PassThrough : public std::streambuf {
 public:
  explicit PassThrough(std::streambuf* below) : below_(below) {}

 protected:
  int_type overflow(int_type c) override {
    if (captured == nullptr) return below_->sputc(traits_type::to_char_type(c));
    const char text = traits_type::to_char_type(c);
    capture({&text, 1});
    return traits_type::not_eof(c);
  }
  std::streamsize xsputn(const char* data, std::streamsize size) override {
    if (captured == nullptr) return below_->sputn(data, size);
    capture({data, static_cast<std::size_t>(size)});
    return size;
  }
  int sync() override { return captured == nullptr ? below_->pubsync() : 0; }

 private:
  std::streambuf* below_;
};

bool install() {
  cookie_io_functions_t functions{};
  functions.write = write_or_capture;
  FILE* stream = fopencookie(nullptr, "w", functions);
  if (stream != nullptr) {
    setvbuf(stream, nullptr, _IONBF, 0);
    stderr = stream;
  }
  // Never freed: destructors of static objects may print after everything here is gone.
  std::cerr.rdbuf(new PassThrough(std::cerr.rdbuf()));
  return true;
}

}  // namespace

CapturedErrors::CapturedErrors() {
  [[maybe_unused]] static const bool installed = install();
  captured = &text_;
}

CapturedErrors::~CapturedErrors() {
  captured = nullptr;
}

}  // namespace mmbatch
