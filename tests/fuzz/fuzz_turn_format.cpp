// Chat templates, turn formats from a manifest, and hostile questions in them.

#include <vector>

#include "engine/base/error.h"
#include "tests/fuzz/input.h"
#include "text/template/turn_format.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text = mmbatch::fuzz::text(data, size);
  const auto render = [&](const mmbatch::TurnFormat& format) {
    try {
      const std::vector<mmbatch::Turn> turns = {{mmbatch::Role::user, text, size % 3}};
      format.render(turns, {});
    } catch (const mmbatch::ItemError&) {
    }
  };
  try {
    render(mmbatch::TurnFormat::from_template({"default", text, "fuzz"}));
  } catch (const mmbatch::ModelError&) {
  }
  try {
    render(mmbatch::TurnFormat::from_pattern(text));
  } catch (const mmbatch::UsageError&) {
  }
  render(mmbatch::TurnFormat::named("inst_sys"));
  return 0;
}
