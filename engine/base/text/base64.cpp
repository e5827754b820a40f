#include "engine/base/text/base64.h"

#include <openssl/evp.h>

#include <climits>
#include <cstddef>

namespace mmbatch {

std::string to_base64(std::string_view bytes) {
  constexpr std::size_t kPart =
      3 << 20;  // the library counts in int; no padding between parts of whole triples
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (; !bytes.empty(); bytes.remove_prefix(bytes.size() < kPart ? bytes.size() : kPart)) {
    const std::string_view part = bytes.substr(0, kPart);
    const std::size_t end = text.size();
    text.resize(end + (part.size() + 2) / 3 * 4);
    EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data() + end),
                    reinterpret_cast<const unsigned char*>(part.data()), static_cast<int>(part.size()));
  }
  return text;
}

std::optional<std::vector<unsigned char>> from_base64(std::string_view text) {
  std::string digits;  // without white space, in the usual alphabet, padded
  digits.reserve(text.size() + 3);
  std::size_t padding = 0;
  for (const char c : text) {
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t') continue;
    if (c == '=') {
      ++padding;
      continue;
    }
    const bool is_digit = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                          c == '+' || c == '/' || c == '-' || c == '_';  // '-' and '_': the URLs' alphabet
    if (!is_digit || padding > 0) return std::nullopt;
    digits += c == '-' ? '+' : c == '_' ? '/' : c;
  }
  if (digits.size() % 4 == 1 || digits.size() > INT_MAX - 4) return std::nullopt;
  const std::size_t missing = (4 - digits.size() % 4) % 4;
  digits.append(missing, '=');
  std::vector<unsigned char> bytes(digits.size() / 4 * 3);
  const int got = EVP_DecodeBlock(bytes.data(), reinterpret_cast<const unsigned char*>(digits.data()),
                                  static_cast<int>(digits.size()));
  if (got < 0) return std::nullopt;
  bytes.resize(static_cast<std::size_t>(got) - missing);
  return bytes;
}

}  // namespace mmbatch
