#include <string>

#include "bench/workload.h"
#include "fusion/model.h"

namespace mmbatch::bench {
namespace {

constexpr const char* kQuestion =
    "What is written on the sign to the left of the person with the red umbrella, and how many people wait?";

/// Words of the vocabulary and others, some 64 KiB.
std::string long_text() {
  std::string text;
  for (unsigned i = 0; text.size() < (64u << 10); ++i) {
    const unsigned mixed = i * 2654435761u;
    for (unsigned letter = 0; letter < 2 + mixed % 8; ++letter)
      text += static_cast<char>('a' + (mixed >> letter * 3) % 26);
    text += i % 17 == 0 ? ".\n" : " ";
  }
  return text;
}

}  // namespace

void run_tokenizer(Session& session) {
  const auto tokenizer = load_tokenizer(session.checkpoint(session.quick() ? "llava-tiny" : "llava-1b"));
  const std::string text = session.quick() ? std::string("a tree in the rain") : long_text();
  const std::vector<std::int32_t> ids = tokenizer->encode(text);
  const double megabytes = static_cast<double>(text.size()) / 1e6;
  session.add(
      {"encode a question", session.time(7, [&] { tokenizer->encode(kQuestion); }), 1, "questions/s", {}});
  session.add(
      {"encode a long text", session.time(7, [&] { tokenizer->encode(text); }), megabytes, "MB/s", {}});
  session.add(
      {"decode a long text", session.time(7, [&] { tokenizer->decode(ids); }), megabytes, "MB/s", {}});
}

}  // namespace mmbatch::bench
