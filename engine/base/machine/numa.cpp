#include "engine/base/machine/numa.h"

#include <fmt/format.h>
#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstring>
#include <fstream>
#include <string>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

constexpr std::size_t kMostNodes = 1024;

/// Takes a number off the front of the text.
bool take_number(std::string_view& text, std::size_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || number >= kMostNodes) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

}  // namespace

std::vector<std::size_t> numbers_of_list(std::string_view list) {
  while (!list.empty() && list.back() == '\n') list.remove_suffix(1);
  std::vector<std::size_t> numbers;
  while (!list.empty()) {
    std::size_t first = 0;
    if (!take_number(list, first)) return {};
    std::size_t last = first;
    if (list.starts_with('-')) {
      list.remove_prefix(1);
      if (!take_number(list, last) || last < first) return {};
    }
    for (std::size_t number = first; number <= last; ++number) numbers.push_back(number);
    if (list.empty()) break;
    if (!list.starts_with(',') || list.size() == 1) return {};
    list.remove_prefix(1);
  }
  return numbers;
}

std::vector<std::size_t> memory_nodes() {
  std::ifstream file("/sys/devices/system/node/has_memory");
  std::string line;
  std::getline(file, line);
  return numbers_of_list(line);
}

void interleave_memory() {
  const std::vector<std::size_t> nodes = memory_nodes();
  if (nodes.size() < 2) {
    throw UsageError(
        "--numa interleave spreads memory over the nodes of a machine, and this one has a single node: leave "
        "it out, or take --numa off");
  }
  constexpr std::size_t kBits = sizeof(unsigned long) * CHAR_BIT;
  std::array<unsigned long, kMostNodes / kBits> mask{};
  for (const std::size_t node : nodes) mask[node / kBits] |= 1UL << node % kBits;
  // The kernel takes one bit less than it is told of.
  if (::syscall(SYS_set_mempolicy, MPOL_INTERLEAVE, mask.data(), kMostNodes + 1) == 0) return;
  throw UsageError(
      fmt::format("--numa interleave: the system refuses to spread memory over the nodes ({}); start mmbatch "
                  "with numactl --interleave=all, or leave it out",
                  std::strerror(errno)));
}

}  // namespace mmbatch
