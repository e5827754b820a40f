#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <span>
#include <string>
#include <string_view>

#include "vision/image/codec_library.h"
#include "vision/image/helper/confinement.h"
#include "vision/image/helper/descriptor.h"
#include "vision/image/helper/image_helper.h"
#include "vision/image/helper/messages.h"

namespace mmbatch {
namespace {

using namespace helper;

template <std::size_t size>
void copy_text(const std::string& text, char (&to)[size]) {
  to[text.copy(to, size - 1)] = '\0';
}

template <class Message>
bool send_message(const Message& message) {
  return ::send(kSocket, &message, sizeof(message), MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof(message));
}

struct Files {
  Descriptor encoded;
  Descriptor pixels;
};

/// Waits for the next request.  @return false at the end
bool receive(Request& request, Files& files) {
  iovec data{&request, sizeof(request)};
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))];
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  ssize_t got = -1;
  do {
    got = ::recvmsg(kSocket, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  const cmsghdr* head = CMSG_FIRSTHDR(&message);
  if (got != static_cast<ssize_t>(sizeof(request)) || head == nullptr || head->cmsg_type != SCM_RIGHTS ||
      head->cmsg_len != CMSG_LEN(2 * sizeof(int))) {
    return false;
  }
  int fds[2];
  std::memcpy(fds, CMSG_DATA(head), sizeof(fds));
  files = {Descriptor(fds[0]), Descriptor(fds[1])};
  return true;
}

class Mapping {
 public:
  Mapping(const Descriptor& file, std::size_t size, int protection)
      : size_(size), data_(::mmap(nullptr, size, protection, MAP_SHARED, file.get(), 0)) {}
  ~Mapping() {
    if (data_ != MAP_FAILED) ::munmap(data_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  std::byte* data() const { return data_ == MAP_FAILED ? nullptr : static_cast<std::byte*>(data_); }

 private:
  std::size_t size_;
  void* data_;
};

Reply answer(Kind kind, const Request& request, const Files& files) {
  using Outcome = CodecResult::Outcome;
  const Mapping encoded(files.encoded, request.size, PROT_READ);
  const Mapping pixels(files.pixels, request.capacity, PROT_READ | PROT_WRITE);
  Image image;
  DocumentFacts facts;
  CodecResult result{Outcome::damaged, "there is not enough memory to decode it"};
  if (encoded.data() != nullptr && pixels.data() != nullptr) {
    const CodecRequest wanted{{encoded.data(), request.size},
                              static_cast<ImageFormat>(request.format),
                              static_cast<TruncatedImages>(request.truncated),
                              request.part,
                              static_cast<std::int64_t>(request.capacity / 3)};
    const DocumentRequest asked{static_cast<DocumentRequest::Wanted>(request.wanted), wanted};
    if (kind == Kind::images) (*helper_image_codec())(wanted, image, result);
    if (kind == Kind::documents) (*document_codec())(asked, facts, image, result);
    if (kind == Kind::videos) (*video_codec())(asked, facts, image, result);
  }
  if (result.outcome == Outcome::decoded && image.rgb.size() > request.capacity) {
    result = {Outcome::damaged, "it holds more pixels than its header says"};
  }
  // Of a document whose pages were only counted there are no pixels.
  if (result.outcome == Outcome::decoded && !image.rgb.empty())
    std::memcpy(pixels.data(), image.rgb.data(), image.rgb.size());
  const bool drawn = image.width > 0;
  Reply reply{.outcome = static_cast<std::int32_t>(result.outcome),
              .width = drawn ? image.width : facts.width,
              .height = drawn ? image.height : facts.height,
              .pages = facts.pages,
              .seconds = facts.seconds};
  copy_text(result.problem, reply.problem);
  return reply;
}

std::uint64_t address_space() {
  std::uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

/// Loads the libraries, and whatever of their data is needed once.
void load_codec(Kind kind) {
  if (kind == Kind::images) helper_image_codec();
  if (kind == Kind::videos) video_codec();
  if (kind != Kind::documents) return;
  // The first page that is drawn reads the list of fonts, for which there is no right later.
  constexpr std::string_view kText =
      "%PDF-1.1\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj "
      "3 0 "
      "obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]/Contents 4 0 R/Resources<</Font<</F 5 0 "
      "R>>>>>>endobj 4 0 "
      "obj<</Length 27>>stream\nBT /F 9 Tf 9 9 Td(a)Tj ET  \nendstream endobj 5 0 "
      "obj<</Type/Font/Subtype/Type1"
      "/BaseFont/Helvetica>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n";
  DocumentFacts facts;
  Image image;
  CodecResult result;
  const CodecRequest file{.encoded = std::as_bytes(std::span(kText)),
                          .format = ImageFormat::pdf,
                          .truncated = TruncatedImages::accept,
                          .part = {.page = 1, .dpi = 72, .pixels = 10'000},
                          .max_pixels = 10'000};
  (*document_codec())({DocumentRequest::Wanted::pixels, file}, facts, image, result);
}

}  // namespace

int serve_as_helper(Kind kind) {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);  // a crash is expected, and what it leaves is hostile
  Hello hello;
  try {
    load_codec(kind);
    hello.address_space = address_space();
    copy_text(confine(kind), hello.problem);
  } catch (const std::exception& e) {
    copy_text(e.what(), hello.problem);
  }
  if (!send_message(hello) || hello.problem[0] != '\0') ::_exit(1);
  Request request;
  Files files;
  while (receive(request, files)) {
    if (!send_message(answer(kind, request, files))) break;
  }
  ::_exit(0);  // no destructor of a library that a hostile image may have damaged
}

}  // namespace mmbatch
