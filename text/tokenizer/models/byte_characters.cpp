#include "text/tokenizer/models/byte_characters.h"

#include <array>

#include "engine/base/text/utf8.h"

namespace mmbatch {
namespace {

bool printable(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Tables {
  std::array<char32_t, 256> character{};
  std::array<std::string, 256> utf8;
  std::array<short, 0x144> byte{};

  Tables() {
    byte.fill(-1);
    char32_t next = 0x100;
    for (int b = 0; b < 256; ++b) {
      const char32_t c = printable(b) ? static_cast<char32_t>(b) : next++;
      character[static_cast<std::size_t>(b)] = c;
      byte[c] = static_cast<short>(b);
      append_code_point(c, utf8[static_cast<std::size_t>(b)]);
    }
  }
};

const Tables& tables() {
  static const Tables all;
  return all;
}

}  // namespace

char32_t character_of_byte(unsigned char byte) {
  return tables().character[byte];
}

int byte_of_character(char32_t c) {
  const auto& bytes = tables().byte;
  return c < bytes.size() ? bytes[c] : -1;
}

void append_byte_characters(std::string_view text, std::string& out) {
  const auto& utf8 = tables().utf8;
  for (const char c : text) out += utf8[static_cast<unsigned char>(c)];
}

}  // namespace mmbatch
