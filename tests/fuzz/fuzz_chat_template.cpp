// Any bytes as a chat template, rendered for a short conversation.

#include "engine/base/error.h"
#include "tests/fuzz/input.h"
#include "text/template/jinja/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mmbatch::ChatInput input;
  input.messages =
      R"([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [{"type": "text"}]}])";
  input.variables = R"({"l": [3, 1, 2], "d": {"b": 1, "a": [1, 2]}, "s": " Text\n", "n": 7, "f": 2.5})";
  try {
    mmbatch::ChatTemplate(mmbatch::fuzz::text(data, size), "template").render(input);
  } catch (const mmbatch::ModelError&) {
  } catch (const mmbatch::ItemError&) {
  }
  return 0;
}
