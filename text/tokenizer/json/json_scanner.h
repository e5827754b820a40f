#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mmbatch {

/// Reads JSON text from left to right without building a tree: a vocabulary has hundreds of thousands of
/// members. The text comes from outside; whatever is not JSON is refused with its position.
class JsonScanner {
 public:
  static constexpr int kMaxDepth = 64;

  /// @param text must outlive the scanner.  @param source what errors name, such as the file's path.
  JsonScanner(std::string_view text, const std::string& source) : text_(text), source_(source) {}

  /// Calls `member(key)` for each member of the object that comes next; it must read the value.
  template <typename Member>
  void object(Member&& member) {
    expect('{');
    if (take('}')) return;
    do {
      std::string storage;
      const std::string_view key = string(storage);
      expect(':');
      member(key);
    } while (take(','));
    expect('}');
  }

  /// Calls `element()` for each element of the list that comes next; it must read the element.
  template <typename Element>
  void list(Element&& element) {
    expect('[');
    if (take(']')) return;
    do {
      element();
    } while (take(','));
    expect(']');
  }

  /// The string that comes next: a part of the text where it has no escapes, else put into `storage`.
  std::string_view string(std::string& storage);
  std::int64_t integer();
  double number();
  /// Whether a list comes next, and not another value.
  bool at_list();
  /// The text of whatever value comes next.
  std::string_view raw_value();
  /// Nothing but white space may follow.
  void end();

  [[noreturn]] void fail(const std::string& problem) const;

 private:
  void skip_space() {
    while (at_ < text_.size() && static_cast<unsigned char>(text_[at_]) <= ' ' &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r')) {
      ++at_;
    }
  }
  bool take(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) fail_expected(c);
  }
  [[noreturn]] void fail_expected(char c) const;
  void unescape(std::string& out);
  std::uint32_t hex4();
  std::string_view number_text();
  void skip_value(int depth);

  std::string_view text_;
  const std::string& source_;
  std::size_t at_ = 0;
};

}  // namespace mmbatch
