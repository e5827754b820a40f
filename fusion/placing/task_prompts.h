#pragma once

#include <span>
#include <string>

#include "text/regions/regions.h"

namespace mmbatch {

/// A word that stands for a whole request, as a model's processor writes it out.
struct TaskPrompt {
  std::string task;      // "<CAPTION>"
  std::string sentence;  // with {input} where the rest of what was written goes; without: nothing may follow
  ManyNumbers many = ManyNumbers::boxes;  // what many location tokens of its answers are
};

/// The request that a text stands for: with its task written out, or as it is where it names none.
/// @throws ItemError invalid_value for text beside a task that takes none
std::string write_out_task(std::span<const TaskPrompt> tasks, std::string text);
/// What many location tokens of an answer to this text are.
ManyNumbers many_numbers(std::span<const TaskPrompt> tasks, const std::string& text);

}  // namespace mmbatch
