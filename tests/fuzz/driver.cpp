// Runs a fuzz target without libFuzzer: every file of its corpus, then changed ones of them for some seconds.
//   fuzz_NAME CORPUS [SECONDS]
// What is running is written to crash-NAME in the current folder when the target dies.

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

#include "tests/fuzz/input.h"

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes current;
std::string crash_file;

void keep_current(int signal) {
  const int fd = ::open(crash_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (fd >= 0 && ::write(fd, current.data(), current.size()) < 0) ::_exit(3);
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

void run(Bytes bytes) {
  current = std::move(bytes);
  LLVMFuzzerTestOneInput(current.data(), current.size());
}

Bytes changed(const std::vector<Bytes>& corpus, std::mt19937_64& random) {
  const auto below = [&](std::size_t bound) {
    return bound == 0 ? 0 : static_cast<std::size_t>(random() % bound);
  };
  Bytes bytes = corpus[below(corpus.size())];
  for (std::size_t edits = 1 + below(4); edits > 0; --edits) {
    const auto at = static_cast<std::ptrdiff_t>(below(bytes.size() + 1));
    switch (below(6)) {
      case 0:
        if (at < static_cast<std::ptrdiff_t>(bytes.size()))
          bytes[static_cast<std::size_t>(at)] ^= static_cast<std::uint8_t>(1u << below(8));
        break;
      case 1:
        if (at < static_cast<std::ptrdiff_t>(bytes.size()))
          bytes[static_cast<std::size_t>(at)] = static_cast<std::uint8_t>(random());
        break;
      case 2:
        bytes.resize(static_cast<std::size_t>(at));
        break;
      case 3: {  // part of another file
        const Bytes& other = corpus[below(corpus.size())];
        const std::size_t from = below(other.size()), count = below(other.size() - from + 1);
        bytes.insert(bytes.begin() + at, other.begin() + static_cast<std::ptrdiff_t>(from),
                     other.begin() + static_cast<std::ptrdiff_t>(from + count));
        break;
      }
      case 4: {  // what parsers stumble over
        static const std::string kTokens[] = {"\"",   "{",  "}",       "[",  "]",     ",",
                                              ":",    "\n", "\\u0000", "-1", "1e999", "18446744073709551615",
                                              "null", "&a", "*a",      "<<", "\xff",  "{image}",
                                              "%"};
        const std::string& token = kTokens[below(std::size(kTokens))];
        bytes.insert(bytes.begin() + at, token.begin(), token.end());
        break;
      }
      default: {  // a number in four bytes, as lengths and sizes are
        const std::uint32_t value = below(2) == 0 ? 0xFFFFFFFFu - static_cast<std::uint32_t>(below(3))
                                                  : static_cast<std::uint32_t>(below(70'000));
        for (std::size_t i = 0; i < 4 && static_cast<std::size_t>(at) + i < bytes.size(); ++i)
          bytes[static_cast<std::size_t>(at) + i] = static_cast<std::uint8_t>(value >> (8 * i));
      }
    }
    if (bytes.size() > 1 << 16) bytes.resize(1 << 16);
  }
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const std::string program = argv[0];
  crash_file = "crash-" + program.substr(program.rfind('/') + 1);
  for (const int signal : {SIGSEGV, SIGABRT, SIGFPE, SIGBUS, SIGILL, SIGALRM}) ::signal(signal, keep_current);
  std::vector<Bytes> corpus;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
    std::ifstream file(entry.path(), std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  if (corpus.empty()) {
    std::fprintf(stderr, "%s: no corpus\n", argv[1]);
    return 2;
  }
  for (const Bytes& bytes : corpus) run(bytes);
  std::mt19937_64 random(1);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(argc > 2 ? std::atoi(argv[2]) : 0);
  std::size_t runs = 0;
  for (; std::chrono::steady_clock::now() < end; ++runs) {
    ::alarm(20);  // one that does not end is a fault too
    run(changed(corpus, random));
  }
  std::printf("%zu files, %zu changed ones\n", corpus.size(), runs);
  return 0;
}
