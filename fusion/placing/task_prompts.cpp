#include "fusion/placing/task_prompts.h"

#include <fmt/format.h>

#include "engine/base/error.h"
#include "engine/base/text/utf8.h"

namespace mmbatch {
namespace {

constexpr const char* kInput = "{input}";

std::string stripped(const std::string& text) {
  constexpr const char* kSpace = " \t\r\n\v\f";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

}  // namespace

std::string write_out_task(std::span<const TaskPrompt> tasks, std::string text) {
  for (const TaskPrompt& one : tasks) {
    if (text.find(one.task) == std::string::npos) continue;
    if (one.sentence.find(kInput) != std::string::npos)
      return replace_all(one.sentence, kInput, stripped(replace_all(text, one.task, "")));
    if (text != one.task) {
      throw ItemError(
          ErrorCode::invalid_value,
          fmt::format("the task {} takes no text beside it; leave out '{}'", one.task,
                      replace_invalid_utf8(stripped(replace_all(text, one.task, "")).substr(0, 80))));
    }
    return one.sentence;
  }
  return text;
}

ManyNumbers many_numbers(std::span<const TaskPrompt> tasks, const std::string& text) {
  for (const TaskPrompt& one : tasks)
    if (text.find(one.task) != std::string::npos) return one.many;
  return ManyNumbers::boxes;
}

}  // namespace mmbatch
