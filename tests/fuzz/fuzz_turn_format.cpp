// Chat templates, turn formats from a manifest, and hostile questions in them.

#include <vector>

#include "engine/base/error.h"
#include "tests/fuzz/input.h"
#include "text/template/turn_format.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text = mmbatch::fuzz::text(data, size);
  mmbatch::RenderOptions options;
  options.images = static_cast<int>(size % 3);
  const auto render = [&](const mmbatch::TurnFormat& format) {
    try {
      const std::vector<mmbatch::Turn> turns = {{mmbatch::Role::user, text}};
      format.render(turns, options);
      format.render_following(text, options);
    } catch (const mmbatch::ItemError&) {
    }
  };
  if (const auto format = mmbatch::TurnFormat::recognise(text)) render(*format);
  try {
    render(mmbatch::TurnFormat::from_pattern(text));
  } catch (const mmbatch::UsageError&) {
  }
  render(mmbatch::TurnFormat::named("inst_sys"));
  return 0;
}
