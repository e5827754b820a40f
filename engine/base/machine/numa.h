#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace mmbatch {

/// The numbers of a list as the kernel writes them, "0-1,3"; empty where it is not one, or names a number
/// above 1023.
std::vector<std::size_t> numbers_of_list(std::string_view list);

/// The machine's nodes that have memory; empty where the system does not say.
std::vector<std::size_t> memory_nodes();

/// Pages that this thread and those that it starts from now on are the first to touch lie on all nodes in
/// turn: memory is then read as fast from every core, by as many controllers as there are. Where threads run
/// is left to the system.
/// @throws UsageError where there is one node alone, or the system refuses
void interleave_memory();

}  // namespace mmbatch
